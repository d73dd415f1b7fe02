"""Where a container engine may answer."""

import os
import ssl
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from funnel.core.error import Invalid
from funnel.core.value import Value

TLS_PORT = 2376
PLAIN_PORT = 2375


class Address(Value):
    """A socket of this machine, or a host and port; `certificates` is a folder, "" is no TLS."""

    url: str
    origin: str
    socket: str = ""
    host: str = ""
    port: int = 0
    certificates: str = ""

    @property
    def base(self) -> str:
        """What request paths are appended to."""
        if self.socket:
            return "http://engine"
        return f"{'https' if self.certificates else 'http'}://{self.host}:{self.port}"


def candidates(setting: str, environment: Mapping[str, str], home: Path) -> Iterator[Address]:
    """
    Where to ask, in order. An address that somebody named is the only one.

    Reads files: the current context of the docker command, if there is one.
    """
    if setting:
        yield address(setting, "Docker.Host", environment)
    elif named := environment.get("DOCKER_HOST"):
        yield address(named, "DOCKER_HOST", environment)
    elif context := _context(environment, home):
        yield context
    else:
        yield from _usual(environment)


def address(url: str, origin: str, environment: Mapping[str, str]) -> Address:
    """Read `unix:///path`, an absolute path, or `tcp://host:port`. Raises `Invalid`."""
    parts = urlsplit(f"unix://{url}" if url.startswith("/") else url)
    if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
        return Address(url=f"unix://{parts.path}", origin=origin, socket=parts.path)
    if parts.scheme in {"tcp", "http", "https"} and parts.hostname:
        certificates = _certificates(environment) if _wants_tls(parts.scheme, environment) else ""
        port = parts.port or (TLS_PORT if certificates else PLAIN_PORT)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return Address(url, origin, host=host, port=port, certificates=certificates)
    raise Invalid(
        f"{origin} is {url!r}, which is not an address of a container engine;"
        " give unix:///path/to/docker.sock or tcp://host:port"
    )


def tls(certificates: str) -> ssl.SSLContext:
    """As the docker command does: ca.pem, cert.pem and key.pem of the folder, if they are there."""
    folder = Path(certificates)
    authority = folder / "ca.pem"
    context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
    if (folder / "cert.pem").exists():
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def _wants_tls(scheme: str, environment: Mapping[str, str]) -> bool:
    return scheme == "https" or bool(environment.get("DOCKER_TLS_VERIFY"))


def _certificates(environment: Mapping[str, str]) -> str:
    return environment.get("DOCKER_CERT_PATH") or str(Path.home() / ".docker")


class _Config(Value, rename="camel"):
    current_context: str = ""


class _Endpoint(Value, rename="pascal"):
    host: str = ""


class _Meta(Value, rename="pascal"):
    name: str = ""
    endpoints: Mapping[str, _Endpoint] = {}


def _context(environment: Mapping[str, str], home: Path) -> Address | None:
    folder = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    name = environment.get("DOCKER_CONTEXT") or _current(folder / "config.json")
    if name in {"", "default"}:
        return None
    # The docker command names the folder of a context by this digest.
    digest = sha256(name.encode()).hexdigest()
    file = folder / "contexts" / "meta" / digest / "meta.json"
    origin = f"the docker context {name!r}"
    try:
        meta = msgspec.json.decode(file.read_bytes(), type=_Meta)
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{origin} cannot be read from {file}: {error}") from error
    endpoint = meta.endpoints.get("docker", _Endpoint())
    certificates = folder / "contexts" / "tls" / digest / "docker"
    if certificates.is_dir():
        environment = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    return address(endpoint.host, origin, environment)


def _current(config: Path) -> str:
    try:
        return msgspec.json.decode(config.read_bytes(), type=_Config).current_context
    except (OSError, msgspec.MsgspecError):
        return ""


def _usual(environment: Mapping[str, str]) -> Iterator[Address]:
    own = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    for path, origin in (
        ("/var/run/docker.sock", "Docker"),
        (f"{own}/docker.sock", "rootless Docker"),
        ("/run/podman/podman.sock", "Podman"),
        (f"{own}/podman/podman.sock", "rootless Podman"),
    ):
        yield Address(url=f"unix://{path}", origin=origin, socket=path)
