from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.container import Container, Mount
from funnel.core.error import CannotStart, Invalid
from funnel.runtime.recipe import Site, recipe
from funnel.runtime.settings import Entrypoint, Profile, Settings

CALLER = "1000:1001"
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def made(container: Container, **settings: Any) -> Any:
    return recipe(container, Site(settings=Settings(**settings), deployment="here", caller=CALLER))


def container(**given: Any) -> Container:
    asked: dict[str, Any] = {"name": "n", "image": "alpine", "command": ("true",), **given}
    return Container(**asked)


def test_settings_are_shown_as_words_of_the_settings_file() -> None:
    names = set(Settings.__struct_encode_fields__)
    assert {"Host", "PullPolicy", "PullTimeout", "Profile", "PidsLimit", "Timeout"} <= names


@given(st.lists(text, min_size=1), st.dictionaries(text, text))
def test_command_and_environment_are_kept_to_the_letter(
    command: list[str], env: dict[str, str]
) -> None:
    body = made(container(command=tuple(command), env=env))
    assert [*body["Entrypoint"], *body["Cmd"]] == command
    assert len(body["Entrypoint"]) == 1
    assert body["Env"] == [f"{name}={value}" for name, value in env.items()]


def test_the_entry_point_of_the_image_can_be_kept() -> None:
    body = made(container(command=("a", "")), entrypoint=Entrypoint.IMAGE)
    assert body["Cmd"] == ("a", "")
    assert "Entrypoint" not in body


@given(text, text, text, text)
def test_nothing_a_task_says_changes_how_it_is_confined(
    image: str, workdir: str, word: str, value: str
) -> None:
    """Text of the task reaches its own fields, and no other."""
    plain = made(container())
    asked = container(
        image=image,
        workdir=workdir,
        command=("x", word),
        env={word: value},
        labels={word: value, "funnel.deployment": value},
        mounts=(Mount(value, word),),
    )
    body = made(asked)
    assert body.keys() - plain.keys() <= {"WorkingDir"}
    assert body["Labels"]["funnel.deployment"] == "here"
    assert {**body["HostConfig"], "Mounts": []} == plain["HostConfig"]
    (mount,) = body["HostConfig"]["Mounts"]
    assert mount == {"Type": "bind", "Source": value, "Target": word, "ReadOnly": True}


def test_requests_become_limits_that_engines_take() -> None:
    host = made(container(cpus=1.5, memory_bytes=2**30))["HostConfig"]
    assert (host["CpuQuota"], host["CpuPeriod"]) == (150_000, 100_000)
    assert host["Memory"] == host["MemorySwap"] == 2**30
    least = made(container(cpus=0.0001, memory_bytes=1))["HostConfig"]
    assert (least["CpuQuota"], least["Memory"]) == (1_000, 6 * 2**20)
    assert not {"CpuQuota", "Memory"} & made(container())["HostConfig"].keys()


@pytest.mark.parametrize(
    ("profile", "user", "caller", "expected"),
    [
        (Profile.STANDARD, "", CALLER, None),
        (Profile.STANDARD, "caller", CALLER, CALLER),
        (Profile.STANDARD, "caller", "0:0", "0:0"),
        (Profile.STANDARD, "5:6", CALLER, "5:6"),
        (Profile.STRICT, "", CALLER, "65534:65534"),
        (Profile.STRICT, "caller", CALLER, CALLER),
        (Profile.STRICT, "caller", "0:0", "65534:65534"),
        (Profile.STRICT, "5:6", CALLER, "5:6"),
    ],
)
def test_users(profile: Profile, user: str, caller: str, expected: str | None) -> None:
    settings = Settings(profile=profile, user=user)
    body = recipe(container(), Site(settings=settings, deployment="here", caller=caller))
    assert body.get("User") == expected


@given(text, text)
def test_podman_gets_no_path_that_it_would_read_as_options(source: str, target: str) -> None:
    site = Site(settings=Settings(), deployment="here", caller=CALLER, is_podman=True)
    asked = container(mounts=(Mount("/x", "/y"), Mount(source, f"/in{target}")))
    if set(source + target) & set(',"\r\n'):
        with pytest.raises(CannotStart, match="Podman cannot mount"):
            recipe(asked, site)
    else:
        assert len(recipe(asked, site)["HostConfig"]["Mounts"]) == 2


def test_podman_is_not_asked_for_what_it_does_not_do_well() -> None:
    site = Site(settings=Settings(), deployment="here", caller=CALLER, is_podman=True)
    host = recipe(container(), site)["HostConfig"]
    assert host["LogConfig"] == {"Type": "k8s-file"}
    assert "Ulimits" not in host


def test_strict_has_no_network() -> None:
    host = made(container(), profile=Profile.STRICT)["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"], host["ReadonlyRootfs"]) == ("none", ["ALL"], True)


@pytest.mark.parametrize("user", ["0", "root", "0:5", "root:root"])
def test_strict_is_not_for_root(user: str) -> None:
    with pytest.raises(Invalid, match=r"Docker\.User"):
        Settings(profile=Profile.STRICT, user=user)
    Settings(user=user)


def test_settings_that_cannot_work_are_named() -> None:
    with pytest.raises(Invalid, match=r"Docker\.PidsLimit is 0"):
        Settings(pids_limit=0)
