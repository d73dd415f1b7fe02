"""With what a worker is let in: never from its command line."""

import base64
from pathlib import Path

import pytest

from funnel.config import load
from funnel.core.error import FunnelError
from funnel.workers import credentials


def shown(tmp_path: Path, environ: dict[str, str], *, user: bool = False) -> dict[str, str]:
    settings = tmp_path / "settings.yaml"
    said = "RPCClient: {Credential: {User: ann, Password: secret}}" if user else "{}"
    settings.write_text(said)
    return dict(credentials(load(settings).rpc_client.credential, environ))


def test_where_there_are_no_accounts_nothing_is_shown(tmp_path: Path) -> None:
    assert shown(tmp_path, {}) == {}


def test_a_token_comes_from_a_variable_or_from_a_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("of-file\n")
    found = {"FUNNEL_WORKER_TOKEN_FILE": str(token)}
    assert shown(tmp_path, found) == {"authorization": "Bearer of-file"}
    both = {**found, "FUNNEL_WORKER_TOKEN": "of-variable"}
    assert shown(tmp_path, both) == {"authorization": "Bearer of-variable"}


def test_a_user_is_named_where_there_is_no_token(tmp_path: Path) -> None:
    pair = base64.b64encode(b"ann:secret").decode()
    assert shown(tmp_path, {}, user=True) == {"authorization": f"Basic {pair}"}
    token = {"FUNNEL_WORKER_TOKEN": "mine"}
    assert shown(tmp_path, token, user=True) == {"authorization": "Bearer mine"}


def test_a_token_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(FunnelError, match=f"FUNNEL_WORKER_TOKEN_FILE {missing} cannot be read"):
        shown(tmp_path, {"FUNNEL_WORKER_TOKEN_FILE": str(missing)})


@pytest.mark.parametrize("text", [b"one\ntwo", b"one two", "tökén".encode(), b"\xff"])
def test_what_is_no_token_is_not_taken_for_a_server_out_of_reach(
    tmp_path: Path, text: bytes
) -> None:
    token = tmp_path / "token"
    token.write_bytes(text)
    with pytest.raises(FunnelError, match="something else than one token"):
        shown(tmp_path, {"FUNNEL_WORKER_TOKEN_FILE": str(token)})
