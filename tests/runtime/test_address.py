from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import json

from funnel.core.error import Invalid, Unavailable
from funnel.runtime.address import Address, candidates
from funnel.runtime.engine import engine_at


def asked(home: Path, setting: str = "", **environment: str) -> list[str]:
    return [one.url for one in candidates(setting, environment, home)]


def make_context(home: Path, name: str, host: str) -> Path:
    """What `docker context create` and `docker context use` write."""
    folder = home / ".docker"
    digest = sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    meta.write_bytes(json.encode({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    (folder / "config.json").write_bytes(json.encode({"auths": {}, "currentContext": name}))
    return folder / "contexts" / "tls" / digest / "docker"


def test_what_is_named_is_the_only_one_asked(tmp_path: Path) -> None:
    make_context(tmp_path, "far", "unix:///context.sock")
    assert asked(tmp_path, "/set.sock", DOCKER_HOST="unix:///env.sock") == ["unix:///set.sock"]
    assert asked(tmp_path, DOCKER_HOST="unix:///env.sock") == ["unix:///env.sock"]
    assert asked(tmp_path) == ["unix:///context.sock"]


def test_without_a_name_the_usual_sockets_are_asked_in_order(tmp_path: Path) -> None:
    make_context(tmp_path, "default", "unix:///never.sock")
    assert asked(tmp_path, XDG_RUNTIME_DIR="/run/user/7") == [
        "unix:///var/run/docker.sock",
        "unix:///run/user/7/docker.sock",
        "unix:///run/podman/podman.sock",
        "unix:///run/user/7/podman/podman.sock",
    ]


def test_a_context_can_be_named_and_brings_its_certificates(tmp_path: Path) -> None:
    certificates = make_context(tmp_path, "far", "tcp://build.example:2376")
    certificates.mkdir(parents=True)
    (one,) = candidates("", {"DOCKER_CONTEXT": "far"}, tmp_path)
    assert one.base == "https://build.example:2376"
    assert one.certificates == str(certificates)


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="the docker context 'gone'"):
        asked(tmp_path, DOCKER_CONTEXT="gone")


@pytest.mark.parametrize(
    ("url", "environment", "base"),
    [
        ("tcp://engine.example:1234", {}, "http://engine.example:1234"),
        ("tcp://engine.example", {}, "http://engine.example:2375"),
        ("tcp://engine.example", {"DOCKER_TLS_VERIFY": "1"}, "https://engine.example:2376"),
        ("https://engine.example", {}, "https://engine.example:2376"),
        ("tcp://[::1]:5", {}, "http://[::1]:5"),
        ("unix:///a.sock", {"DOCKER_TLS_VERIFY": "1"}, "http://engine"),
    ],
)
def test_addresses(url: str, environment: dict[str, str], base: str, tmp_path: Path) -> None:
    (one,) = candidates(url, environment, tmp_path)
    assert one.base == base


@pytest.mark.parametrize("url", ["ssh://me@there", "unix://relative.sock", "here", "tcp://"])
def test_what_is_no_address_is_refused_with_the_way_out(url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"Docker\.Host is .*give unix:///path"):
        asked(tmp_path, url)


async def test_all_that_was_tried_is_told_when_none_answers(tmp_path: Path) -> None:
    gone = [
        Address(url=f"unix://{tmp_path}/{name}", origin=name, socket=f"{tmp_path}/{name}")
        for name in ("one", "two")
    ]
    with pytest.raises(
        Unavailable, match=r"set Docker\.Host.*one: .*/one does not answer: No such file.*two: "
    ):
        async with engine_at(gone, 1.0) as engine:
            await engine.ping()
