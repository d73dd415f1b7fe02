"""What a token says, and whether that is enough (RFC 7519, RFC 9068, RFC 7662)."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from msgspec import ValidationError, convert

from funnel.core.error import Unauthenticated
from funnel.core.value import Value

Claims: TypeAlias = Mapping[str, Any]

LONGEST_SUBJECT: Final = 255
"""Characters, as OpenID Connect has it."""
LATEST: Final = 2.0**53
"""Seconds since 1970 that a time may be; neither infinity nor what is no number is below it."""


class Rules(Value, kw_only=True):
    """What is asked of a token; `leeway` in seconds."""

    issuer: str
    audience: str
    scopes: frozenset[str]
    leeway: float


def refused(why: str) -> Unauthenticated:
    """The text is the same for every reason, so that nobody learns from it; the log has it."""
    error = Unauthenticated("Bearer authorization token not accepted")
    error.__cause__ = ValueError(why)
    return error


def check(claims: Claims, rules: Rules, now: float) -> str:
    """
    The subject of a token that is for us and good now, in seconds since 1970.

    Raises `Unauthenticated`.
    """
    if claims.get("iss") != rules.issuer:
        raise refused(f"of another issuer than {rules.issuer!r}")
    check_time(claims, rules.leeway, now)
    if rules.audience not in words_of(claims.get("aud")):
        raise refused(f"not for {rules.audience!r}")
    check_scopes(claims, rules)
    return subject_of(claims)


def check_time(claims: Claims, leeway: float, now: float) -> None:
    if _time(claims, "exp", default=None) + leeway <= now:
        raise refused("expired")
    if max(_time(claims, "nbf", default=0), _time(claims, "iat", default=0)) - leeway > now:
        raise refused("not good yet")


def check_scopes(claims: Claims, rules: Rules) -> None:
    has = words_of(claims.get("scope")) | words_of(claims.get("scp"))
    if missing := rules.scopes - has:
        raise refused(f"without scope {' '.join(sorted(missing))}")


def subject_of(claims: Claims) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise refused("without a subject")
    if not subject.isprintable():
        raise refused("with a subject that is no text to be shown")
    return subject


def has_claim(claims: Claims, name: str, value: str) -> bool:
    """Whether a claim is the value, or a list that has it; `a.b` is claim b within claim a."""
    found: object = claims
    for part in [name] if name in claims else name.split("."):
        found = _below(found, part)
    return found == value or value in _list(found)


def words_of(given: object) -> frozenset[str]:
    """A list of text, or words in one text."""
    return frozenset(given.split()) if isinstance(given, str) else _list(given)


def _list(given: object) -> frozenset[str]:
    try:
        return frozenset(convert(given, list[str]))
    except ValidationError:
        return frozenset()


def _below(claims: object, name: str) -> object:
    try:
        return convert(claims, dict[str, Any]).get(name)
    except ValidationError:
        return None


def _time(claims: Claims, name: str, *, default: float | None) -> float:
    given = claims.get(name, default)
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not abs(given) < LATEST:
        raise refused(f"{name} is missing, or no time")
    return float(given)
