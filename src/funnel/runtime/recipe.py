"""A container as the engine's API wants it described."""

from collections.abc import Mapping
from typing import Any, Final

from funnel.core.container import LABEL_DEPLOYMENT, Container, Mount
from funnel.core.error import CannotStart
from funnel.core.value import Value
from funnel.runtime.settings import NOBODY, Entrypoint, Profile, Settings

PERIOD: Final = 100_000
LEAST_QUOTA: Final = 1_000
LEAST_MEMORY: Final = 6 * 2**20
"""Engines refuse less."""

# The default log of Docker writes JSON, in which bytes that are no UTF-8 are lost. This one is
# exact. The size, its largest, keeps it from dropping the beginning; the rest overrules defaults
# of the engine that do not go with it.
EXACT_LOG: Final = {
    "Type": "local",
    "Config": {"max-size": "8000p", "max-file": "1", "compress": "false"},
}

CLEAN: Final = """
cd /erase || exit 1
find . -mindepth 1 -delete 2>/dev/null || rm -rf ./* ./.[!.]* ./..?*
for left in ./* ./.[!.]* ./..?*; do
  if [ -e "$left" ] || [ -L "$left" ]; then echo "$left is still there" >&2; exit 1; fi
done
"""


PODMAN_LOG: Final = {"Type": "k8s-file"}
"""Exact, and of any size unless containers.conf says otherwise."""


class Site(Value, kw_only=True):
    """What all containers of one runtime have in common; `caller` is our own user and group."""

    settings: Settings
    deployment: str
    caller: str
    is_podman: bool = False


def recipe(container: Container, site: Site) -> Mapping[str, Any]:
    """The body of a create request. Raises `CannotStart` for mounts that Podman misreads."""
    if site.is_podman:
        for mount in container.mounts:
            _check_for_podman(mount)
    body: dict[str, Any] = {
        "Image": container.image,
        **_command(container.command, site.settings.entrypoint),
        "Env": [f"{name}={value}" for name, value in container.env.items()],
        "Labels": {**container.labels, LABEL_DEPLOYMENT: site.deployment},
        "OpenStdin": container.stdin,
        "StdinOnce": container.stdin,
        "AttachStdin": container.stdin,
        "StopSignal": "SIGTERM",
        "HostConfig": _host(container, site),
    }
    if not site.is_podman:
        # Podman takes even this for a check, and looks for systemd to run it.
        body["Healthcheck"] = {"Test": ["NONE"]}
    if container.workdir:
        body["WorkingDir"] = container.workdir
    if user := _user(site):
        body["User"] = user
    return body


def probe(image: str, site: Site) -> Mapping[str, Any]:
    """A container that is looked into and never started."""
    return {
        "Image": image,
        "Entrypoint": ["none"],
        "Labels": {LABEL_DEPLOYMENT: site.deployment},
        "HostConfig": {"NetworkMode": "none"},
    }


def eraser(directory: str, image: str, site: Site) -> Mapping[str, Any]:
    """A container that empties one directory as root, and can do nothing else."""
    return {
        "Image": image,
        "User": "0:0",
        "Entrypoint": ["/bin/sh", "-c", CLEAN],
        "WorkingDir": "/",
        "Labels": {LABEL_DEPLOYMENT: site.deployment},
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": ["DAC_OVERRIDE", "FOWNER"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": 64,
            "LogConfig": PODMAN_LOG if site.is_podman else EXACT_LOG,
            "Mounts": [_mount(Mount(directory, "/erase", writable=True))],
        },
    }


def _command(command: tuple[str, ...], entrypoint: Entrypoint) -> Mapping[str, Any]:
    if entrypoint is Entrypoint.IMAGE:
        return {"Cmd": command}
    return {"Entrypoint": command[:1], "Cmd": command[1:]}


def _user(site: Site) -> str:
    settings = site.settings
    strict = settings.profile is Profile.STRICT
    user = site.caller if settings.user == "caller" else settings.user
    if strict and (not user or user.startswith("0:")):
        return NOBODY
    return user


def _host(container: Container, site: Site) -> Mapping[str, Any]:
    settings = site.settings
    host: dict[str, Any] = {
        "Init": True,
        "PidsLimit": settings.pids_limit,
        "SecurityOpt": ["no-new-privileges"],
        "IpcMode": "private",
        "NetworkMode": settings.network,
        "LogConfig": PODMAN_LOG if site.is_podman else EXACT_LOG,
        "Mounts": [_mount(mount) for mount in container.mounts],
    }
    if not site.is_podman:
        # Podman would forget the limits of containers.conf for it.
        host["Ulimits"] = [{"Name": "core", "Soft": 0, "Hard": 0}]
    if container.cpus:
        # Unlike NanoCpus this may be more than the machine has, and is then no limit.
        host["CpuPeriod"] = PERIOD
        host["CpuQuota"] = max(round(container.cpus * PERIOD), LEAST_QUOTA)
    if container.memory_bytes:
        host["Memory"] = host["MemorySwap"] = max(container.memory_bytes, LEAST_MEMORY)
    if settings.profile is Profile.STRICT:
        host |= {"CapDrop": ["ALL"], "ReadonlyRootfs": True, "NetworkMode": "none"}
    return host


def _check_for_podman(mount: Mount) -> None:
    """Podman makes an option string of a mount, in which a path could say other things too."""
    for path in (mount.source, mount.target):
        if any(letter in path for letter in ',"\r\n'):
            raise CannotStart(
                f"Podman cannot mount {path!r}: a comma, quote or line break is in the path", 126
            )


def _mount(mount: Mount) -> Mapping[str, Any]:
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": not mount.writable,
    }
