"""How often somebody may do something: a bucket that fills at a steady rate."""

from typing import Final

from funnel.core.value import Value

MINUTE: Final = 60.0


class Rate(Value):
    """
    So many a second on average, and as many as `burst` at once.

    >>> now = 100.0
    >>> rate, bucket = Rate(0.5, burst=2), None
    >>> for _ in range(3):
    ...     bucket = rate.taken(bucket, now)
    >>> rate.wait(bucket, now), rate.wait(bucket, now + 2), rate.wait(bucket, now + 4)
    (4.0, 2.0, 0.0)
    """

    per_second: float
    burst: float

    def taken(self, bucket: "Bucket | None", now: float) -> "Bucket":
        """The bucket with one less in it, be it less than nothing; None is a full one."""
        return Bucket(self._level(bucket, now) - 1, now)

    def wait(self, bucket: "Bucket | None", now: float) -> float:
        """Seconds until one may be taken; 0 where that is now."""
        return max(0.0, (1 - self._level(bucket, now)) / self.per_second)

    def _level(self, bucket: "Bucket | None", now: float) -> float:
        if bucket is None:
            return self.burst
        passed = max(0.0, now - bucket.at)
        return min(self.burst, bucket.level + passed * self.per_second)


class Bucket(Value):
    """What was in it at a time, in seconds of a clock that only goes forward."""

    level: float
    at: float


LOGINS: Final = Rate(10 / MINUTE, burst=10)
"""Wrong credentials that one user may show from one address."""
GUESSES: Final = Rate(60 / MINUTE, burst=60)
"""Wrong passwords that may come from one address, whoever the users are."""
