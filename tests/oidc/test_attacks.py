"""A token that was made up or changed keeps out, however it was done."""

import json
from collections.abc import Callable, Mapping

import jwt
import pytest
from forging import (
    EC,
    OTHER,
    by_public_key,
    claims,
    flipped,
    head,
    jwk,
    jwks_of,
    pem,
    unsigned,
    with_own_key,
    written,
)
from providers import Provider
from showing import is_refused, shown

from funnel.ports import Identity

pytestmark = pytest.mark.xdist_group("oidc")

ATTACKS: Mapping[str, Callable[[Provider], str]] = {
    "none": lambda p: unsigned(p, "none"),
    "None": lambda p: unsigned(p, "None"),
    "nOnE": lambda p: unsigned(p, "nOnE"),
    "no algorithm": lambda p: unsigned(p, ""),
    "no signature": lambda p: p.token().rpartition(".")[0] + ".",
    "HS256 with the public key in PEM": lambda p: by_public_key(p, pem),
    "HS256 with the public key as a JWK": lambda p: by_public_key(p, jwk),
    "HS256 with nothing": lambda p: by_public_key(p, lambda _: b""),
    "HS256 with the client's secret": lambda p: by_public_key(p, lambda _: b"secret"),
    "another key by the same name": lambda p: with_own_key(p, kid=p.key_id),
    "another key by another name": lambda p: with_own_key(p, kid="mine"),
    "another key without a name": with_own_key,
    "a key that it brings along": lambda p: with_own_key(p, jwk=jwks_of(OTHER)),
    "a key by its own address": lambda p: with_own_key(p, jku="https://evil.example", kid="m"),
    "a certificate that it brings along": lambda p: with_own_key(p, x5c=["MIIB"], x5u="https://e"),
    "a key's name that is a path": lambda p: with_own_key(p, kid="../../../dev/null"),
    "a key's name that is a question": lambda p: with_own_key(p, kid="' OR 1=1 --"),
    "a key's name that is no text": lambda p: written(p, claims(p), head(p, kid=1)),
    "a key's name that is a list": lambda p: written(p, claims(p), head(p, kid=[p.key_id])),
    "another kind of key": lambda p: jwt.encode(p.claims(), EC, "ES256", headers={"kid": p.key_id}),
    "an algorithm that is no text": lambda p: written(p, claims(p), head(p, alg=["RS256"])),
    "an algorithm that it was not signed by": lambda p: written(p, claims(p), algorithm="RS512"),
    "an algorithm of another key": lambda p: written(p, claims(p), algorithm="ES256"),
    "an algorithm that there is not": lambda p: written(p, claims(p), algorithm="XX256"),
    "an algorithm in small letters": lambda p: written(p, claims(p), algorithm="rs256"),
    "what is critical": lambda p: written(p, claims(p), head(p, crit=["exp"])),
    "b64": lambda p: written(p, claims(p), head(p, b64=False, crit=["b64"])),
    "a token of another type": lambda p: written(p, claims(p), head(p, typ="logout+jwt")),
    "a worker's token": lambda p: written(p, claims(p), head(p, typ="funnel-worker+jwt")),
    "an algorithm twice": lambda p: written(
        p, claims(p), f'{{"alg": "none", "alg": "RS256", "kid": "{p.key_id}"}}'
    ),
    "a subject twice": lambda p: written(p, claims(p)[:-1] + ', "sub": "admin"}'),
    "an infinite time": lambda p: written(p, claims(p)[:-1] + ', "nbf": -Infinity}'),
    "a time that is no number": lambda p: written(p, claims(p)[:-1] + ', "nbf": NaN}'),
    "a head that is no JSON": lambda p: written(p, claims(p), "RS256"),
    "a head that is a list": lambda p: written(p, claims(p), '["alg", "RS256"]'),
    "claims that are no JSON": lambda p: written(p, "sub=alice"),
    "claims that are a list": lambda p: written(p, f"[{claims(p)}]"),
    "claims that are null": lambda p: written(p, "null"),
    "claims in another encoding": lambda p: written(
        p, claims(p).encode("utf-16").decode("latin-1")
    ),
    "claims that are deep": lambda p: written(p, '{"a":' * 4000 + "1" + "}" * 4000),
    "a number without end": lambda p: written(p, claims(p)[:-1] + f', "x": {"9" * 5000}}}'),
    "huge": lambda p: p.token(p.claims(x="y" * 20_000)),
    "another bit in the head": lambda p: flipped(p.token(), 20),
    "another bit in the claims": lambda p: flipped(p.token(), p.token().index(".") + 30),
    "another bit in the signature": lambda p: flipped(p.token(), -30),
    "a signature that is cut": lambda p: p.token()[:-8],
    "a signature of other claims": lambda p: ".".join(
        [*p.token(p.claims(sub="admin")).split(".")[:2], p.token().split(".")[2]]
    ),
    "a signature in standard base64": lambda p: p.token().replace("-", "+").replace("_", "/") + "=",
    "white space within": lambda p: p.token().replace(".", ". ", 1),
    "a letter that is none": lambda p: p.token() + "!",
    "letters of others": lambda p: p.token()[:-4] + "äöüß",
    "two parts": lambda p: p.token().rpartition(".")[0],
    "four parts": lambda p: p.token() + ".x",
    "only dots": lambda _: "..",
    "one within another": lambda p: written(p, json.dumps(p.token())),
    "nothing": lambda _: "",
    "two at once": lambda p: f"{p.token()}, {p.token()}",
}


@pytest.mark.parametrize("what", ATTACKS)
async def test_a_token_that_was_made_up_or_changed_keeps_out(
    provider: Provider, oidc: Identity, what: str
) -> None:
    assert await is_refused(oidc, ATTACKS[what](provider))


async def test_each_letter_of_a_token_counts(provider: Provider, oidc: Identity) -> None:
    token = provider.token()
    assert await shown(oidc, token)
    for place in range(0, len(token), 7):
        if token[place] != ".":
            assert await is_refused(oidc, flipped(token, place)), place
