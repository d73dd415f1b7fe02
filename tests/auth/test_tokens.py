import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from funnel.auth.keys import Keys
from funnel.auth.tokens import LONGEST, Tokens
from funnel.core.access import Caller, Kind
from funnel.core.error import Unauthenticated
from funnel.core.task import TaskId
from funnel.ports import Credentials

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LASTS = timedelta(minutes=10)
TASK = TaskId("dc37v9a0o4865r2674cg")
OTHER = TaskId("dc37v9a0o4865r2674d0")
KEY, NEW_KEY, STRANGE_KEY = (bytes([one]) * 32 for one in (1, 2, 3))


def tokens(*keys: bytes, at: datetime = NOW) -> Tokens:
    return Tokens(Keys(*(keys or (KEY,))), lambda: at)


def worker(made_by: Tokens | None = None) -> str:
    return (made_by or tokens()).of_worker(TASK, 3, LASTS).reveal()


def node(made_by: Tokens | None = None) -> str:
    return (made_by or tokens()).of_node("n1", LASTS).reveal()


def encoded(part: Mapping[str, Any] | bytes) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def signed(head: Mapping[str, Any], claims: Mapping[str, Any] | bytes, key: bytes = KEY) -> str:
    """A token made by hand, that who holds the key could make."""
    text = f"{encoded(head)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.digest(key, text.encode(), hashlib.sha256))}"


def resigned(
    token: str,
    head: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    key: bytes = KEY,
) -> str:
    """Another token with some of its parts; what is said to be None is left out."""
    old_head, old_claims, _ = token.split(".")
    return signed(
        {k: v for k, v in {**decoded(old_head), **(head or {})}.items() if v is not None},
        {k: v for k, v in {**decoded(old_claims), **(claims or {})}.items() if v is not None},
        key,
    )


def changed(token: str, head: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """What who holds no key can do: other parts under the old signature."""
    old_head, old_claims, signature = token.split(".")
    parts = {**decoded(old_head), **head}, {**decoded(old_claims), **claims}
    return ".".join((*map(encoded, parts), signature))


def with_ed25519(token: str) -> str:
    head, claims, _ = token.split(".")
    text = f"{encoded({**decoded(head), 'alg': 'EdDSA'})}.{claims}"
    return f"{text}.{encoded(Ed25519PrivateKey.generate().sign(text.encode()))}"


def test_a_token_says_who_shows_it() -> None:
    assert tokens().caller(worker()) == Caller(name="", kind=Kind.WORKER, task_id=TASK, fence=3)
    assert tokens().caller(node()) == Caller(name="n1", kind=Kind.NODE)


def test_a_token_is_over_when_its_time_is() -> None:
    last = NOW + LASTS - timedelta(seconds=1)
    assert tokens(at=last).caller(worker())
    with pytest.raises(Unauthenticated, match="over"):
        tokens(at=NOW + LASTS).caller(worker())


def test_keys_change_without_a_break() -> None:
    old = worker()
    between = tokens(NEW_KEY, KEY)
    new = worker(between)
    assert between.caller(old) == between.caller(new)
    assert tokens(NEW_KEY).caller(new)
    with pytest.raises(Unauthenticated):
        tokens(NEW_KEY).caller(old)
    with pytest.raises(Unauthenticated):
        tokens(KEY).caller(new)


ATTACKS: Mapping[str, Callable[[], str]] = {
    "a key's name that is a list": lambda: resigned(worker(), {"kid": ["a", "b"]}),
    "what is critical": lambda: resigned(worker(), {"crit": ["exp"]}),
    "another task": lambda: changed(worker(), {}, {"sub": OTHER}),
    "another attempt": lambda: changed(worker(), {}, {"fence": 4}),
    "a later end": lambda: changed(worker(), {}, {"exp": 9_999_999_999}),
    "no fence": lambda: changed(worker(), {}, {"fence": 0}),
    "of another kind by its type": lambda: changed(worker(), {"typ": "funnel-node+jwt"}, {}),
    "of another kind by both": lambda: changed(
        worker(), {"typ": "funnel-node+jwt"}, {"aud": "node"}
    ),
    "a node as a worker": lambda: changed(
        node(), {"typ": "funnel-worker+jwt"}, {"aud": "worker", "sub": TASK, "fence": 1}
    ),
    "signed by us, of another kind by its type": lambda: resigned(
        worker(), {"typ": "funnel-node+jwt"}
    ),
    "signed by us, of another kind by its audience": lambda: resigned(
        worker(), {}, {"aud": "node"}
    ),
    "a node that has a fence": lambda: resigned(node(), {}, {"fence": 1}),
    "a worker that has none": lambda: resigned(worker(), {}, {"fence": None}),
    "a fence of nought": lambda: resigned(worker(), {}, {"fence": 0}),
    "a fence that is text": lambda: resigned(worker(), {}, {"fence": "3"}),
    "a fence that is a fraction": lambda: resigned(worker(), {}, {"fence": 3.5}),
    "no task": lambda: resigned(worker(), {}, {"sub": ""}),
    "a list of tasks": lambda: resigned(worker(), {}, {"sub": [TASK, OTHER]}),
    "a list of kinds": lambda: resigned(worker(), {}, {"aud": ["worker", "node"]}),
    "no subject": lambda: resigned(worker(), {}, {"sub": None}),
    "no audience": lambda: resigned(worker(), {}, {"aud": None}),
    "no end": lambda: resigned(worker(), {}, {"exp": None}),
    "an end that is text": lambda: resigned(worker(), {}, {"exp": "9999999999"}),
    "no issuer": lambda: resigned(worker(), {}, {"iss": None}),
    "another issuer": lambda: resigned(worker(), {}, {"iss": "https://login.example"}),
    "not yet": lambda: resigned(worker(), {}, {"nbf": 9_999_999_999}),
    "claims that are a list": lambda: signed(decoded(worker().split(".")[0]), b"[1]"),
    "claims that are no JSON": lambda: signed(decoded(worker().split(".")[0]), b"\xff"),
    "a strange key": lambda: worker(tokens(STRANGE_KEY)),
    "a strange key by our name for ours": lambda: resigned(worker(), key=STRANGE_KEY),
    "the empty key": lambda: resigned(worker(), key=b""),
    "a key without a name": lambda: resigned(worker(), {"kid": None}),
    "a key's name that is a path": lambda: resigned(worker(), {"kid": "../../dev/null"}),
    "no algorithm": lambda: changed(worker(), {"alg": "none"}, {}),
    "no algorithm and no signature": lambda: (
        changed(worker(), {"alg": "none"}, {}).rpartition(".")[0] + "."
    ),
    "no algorithm in capitals": lambda: resigned(worker(), {"alg": "NONE"}),
    "a longer hash": lambda: resigned(worker(), {"alg": "HS512"}),
    "a signature of another kind": lambda: with_ed25519(worker()),
    "no signature": lambda: worker().rpartition(".")[0] + ".",
    "half a signature": lambda: worker()[:-23],
    "a signature of another token": lambda: (
        worker().rpartition(".")[0] + "." + node().rpartition(".")[2]
    ),
    "a key of its own in the head": lambda: resigned(
        worker(), {"jwk": {"kty": "oct", "k": encoded(STRANGE_KEY)}}, key=STRANGE_KEY
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_not_signed_like_this_is_refused(attack: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        tokens().caller(ATTACKS[attack]())
    assert refused.value.__cause__ is None
    assert TASK not in str(refused.value)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "nothing",
        "a.b.c",
        "é.é.é",
        "\ud800",
        signed({"typ": "JWT", "alg": "RS256", "kid": "theirs"}, {"sub": "ann"}),
        signed({"alg": "HS256"}, {"sub": TASK, "aud": "worker", "fence": 3}),
        signed({"typ": ["funnel-worker+jwt"], "alg": "HS256"}, {}),
        resigned(worker(), {"typ": "FUNNEL-WORKER+JWT"}),
        resigned(worker(), {"x": "y" * LONGEST}),
    ],
)
def test_what_is_no_token_of_ours_is_left_to_others(token: str) -> None:
    assert tokens().caller(token) is None


@given(st.data())
def test_no_character_of_a_token_can_be_another(data: st.DataObject) -> None:
    token = worker()
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda one: one != token[at]))
    try:
        found = tokens().caller(token[:at] + other + token[at + 1 :])
    except Unauthenticated:
        return
    # The last character holds bits that stand for nothing.
    assert found is None or at == len(token) - 1


@given(st.text(alphabet=st.characters(exclude_categories=())), st.integers(1, 10**9))
def test_what_is_signed_comes_back(name: str, fence: int) -> None:
    if name:
        shown = tokens().of_worker(TaskId(name), fence, LASTS).reveal()
        found = tokens().caller(shown)
        assert found is not None
        assert (found.task_id, found.fence) == (name, fence)


def test_a_token_shows_nothing_of_its_key() -> None:
    assert KEY.hex() not in worker()
    assert encoded(KEY) not in worker()
    assert "eyJ" not in str(tokens().of_worker(TASK, 3, LASTS))


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (f"Bearer {worker()}", True),
        (f"bearer  {worker()}", True),
        (f"Basic {worker()}", False),
        (worker(), False),
        ("Bearer", False),
        ("", False),
    ],
)
async def test_a_token_comes_as_a_bearer_token(header: str, *, known: bool) -> None:
    found = await tokens().identify(Credentials(headers={"authorization": header}))
    assert (found is not None) is known
