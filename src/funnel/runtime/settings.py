"""What an administrator may decide about containers."""

from datetime import timedelta
from enum import StrEnum

from funnel.core.error import Invalid
from funnel.core.value import Value
from funnel.runtime.address import address

NOBODY = "65534:65534"


class PullPolicy(StrEnum):
    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


class Profile(StrEnum):
    STANDARD = "standard"
    STRICT = "strict"


class Entrypoint(StrEnum):
    TASK = "task"
    IMAGE = "image"


class Settings(Value, kw_only=True, rename="pascal"):
    """The Docker Engine, or Podman by the same API."""

    host: str = ""
    """unix:///path or tcp://host:port; empty: DOCKER_HOST, the docker context, usual sockets."""
    timeout: timedelta = timedelta(seconds=30)
    """For one answer of the engine."""
    patience: timedelta = timedelta(minutes=5)
    """How long an engine may be gone before the containers that we wait for are given up."""
    pull_policy: PullPolicy = PullPolicy.MISSING
    pull_timeout: timedelta = timedelta(minutes=30)
    profile: Profile = Profile.STANDARD
    """strict: not root, no capabilities, no network, and only what the task mounts is writable."""
    user: str = ""
    """Empty: the image's own; caller: the user and group of this process; or as in 1000:1000."""
    network: str = "default"
    """default, bridge, none, host, or the name of a network of the engine."""
    pids_limit: int = 4096
    entrypoint: Entrypoint = Entrypoint.TASK
    """task: the command replaces the entry point of the image; image: it is appended to that."""

    def __post_init__(self) -> None:
        """Raises `Invalid` for what only shows when settings are seen together."""
        strict = self.profile is Profile.STRICT
        if strict and self.user.partition(":")[0] in {"root", "0"}:
            raise Invalid(
                f"Docker.User {self.user!r} is root, which Docker.Profile 'strict' does not allow;"
                " leave it empty, or name another user"
            )
        if strict and self.network not in {"default", "none"}:
            raise Invalid(
                f"Docker.Network is {self.network!r}, but Docker.Profile 'strict' has none;"
                " leave it out, or take the profile 'standard'"
            )
        if self.pids_limit < 1:
            raise Invalid(f"Docker.PidsLimit is {self.pids_limit}, but must be 1 at least")
        if self.timeout <= timedelta(0) or self.pull_timeout <= timedelta(0):
            raise Invalid("Docker.Timeout and Docker.PullTimeout must be longer than nothing")
        if self.host:
            address(self.host, "Docker.Host", {})
