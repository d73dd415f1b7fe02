"""Which server is talked to, and as whom."""

import logging

import pytest

from funnel.client.environment import chosen
from funnel.client.http import AsyncClient
from funnel.core.error import Invalid
from funnel.core.secret import Secret

WORD = "swordfish"
NOTHING = {"user": "", "password": "", "token": "", "ca_file": ""}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for end in ("", "_USER", "_PASSWORD", "_TOKEN", "_CA_FILE"):
        monkeypatch.delenv(f"FUNNEL_SERVER{end}", raising=False)
    return monkeypatch


def test_the_environment_names_server_and_credentials(environment: pytest.MonkeyPatch) -> None:
    assert chosen("", **NOTHING).shown == "http://localhost:8000"
    environment.setenv("FUNNEL_SERVER", "https://tes.example")
    environment.setenv("FUNNEL_SERVER_USER", "ann")
    environment.setenv("FUNNEL_SERVER_PASSWORD", "swordfish")
    environment.setenv("FUNNEL_SERVER_CA_FILE", "/ca.pem")
    named = chosen("", **NOTHING)
    assert (named.shown, named.user, named.ca_file) == ("https://tes.example", "ann", "/ca.pem")
    assert named.password == Secret("swordfish")
    assert chosen("localhost:1", **NOTHING).shown == "http://localhost:1"


def test_what_is_said_goes_before_the_url_and_the_url_before_the_environment(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("FUNNEL_SERVER_TOKEN", "of the environment")
    assert chosen("", **NOTHING).token == Secret("of the environment")
    by_url = chosen("http://bob:p@localhost", **NOTHING)
    assert (by_url.user, by_url.token) == ("bob", Secret())
    said = chosen("http://bob:p@localhost", **{**NOTHING, "token": "said"})
    assert (said.user, said.password, said.token) == ("", Secret(), Secret("said"))


def test_two_ways_to_say_who_is_asking_are_one_too_many(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="both a user and a token"):
        chosen("", **{**NOTHING, "user": "ann", "token": "t"})
    environment.setenv("FUNNEL_SERVER_USER", "ann")
    environment.setenv("FUNNEL_SERVER_TOKEN", "t")
    with pytest.raises(Invalid, match="both a user and a token"):
        chosen("", **NOTHING)


def test_credentials_are_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for client in (
        AsyncClient("http://tes.example", user="ann", password=WORD),
        AsyncClient("http://tes.example", token=WORD),
    ):
        shown = [repr(client), repr(client.server), str(client.server), f"{vars(client)}"]
        assert not any(WORD in one for one in [*shown, caplog.text])
    assert "whoever listens can read the credentials for http://tes.example" in caplog.text


@pytest.mark.parametrize("server", ["https://tes.example", "http://localhost:8000"])
def test_where_nobody_listens_no_warning_is_given(
    caplog: pytest.LogCaptureFixture, server: str
) -> None:
    AsyncClient(server, user="ann", password=WORD)
    assert caplog.text == ""
