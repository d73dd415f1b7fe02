"""Signed tokens and the keys that they are checked with (RFC 7515, RFC 7517)."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jwt import PyJWTError
from jwt.algorithms import Algorithm, get_default_algorithms
from msgspec import ValidationError, convert, to_builtins

from funnel.auth.oidc.claims import Claims, refused
from funnel.core.value import Value

LONGEST: Final = 16 * 1024
"""Characters of a token."""
MOST_KEYS: Final = 64
SMALLEST_RSA: Final = 2048
"""Bits."""
CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""Tokens that say of themselves that they are something else are not for this."""

_ALGORITHMS: Final[Mapping[str, Algorithm]] = get_default_algorithms()


@dataclass(frozen=True, slots=True)
class Token:
    """What a token holds; nobody has looked at its signature yet."""

    algorithm: str
    key_id: str | None
    claims: Claims
    signed: bytes
    signature: bytes


class Key(Value, kw_only=True):
    """
    A public key of the provider (RFC 7517), under its names there.

    Without an `alg` it may be used in any way of its kind.
    """

    kty: str
    kid: str | None = None
    alg: str = ""
    use: str = "sig"
    key_ops: tuple[str, ...] = ("verify",)
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""

    def fits(self, algorithm: str) -> bool:
        if self.alg not in {"", algorithm}:
            return False
        if curve := CURVES.get(algorithm):
            return self.crv == curve and self.kty == ("OKP" if curve == "Ed25519" else "EC")
        return self.kty == "RSA" and algorithm[:2] in {"RS", "PS"}


class _KeySet(Value):
    keys: tuple[Any, ...]


def read_token(text: str) -> Token:
    """Raises `Unauthenticated` for what is no token in its one right form."""
    if len(text) > LONGEST or not text.isascii():
        raise refused("too long, or not ASCII")
    if text.count(".") != 2:
        raise refused("no token of three parts")
    head, body, signature = text.split(".")
    header, claims = _object(head), _object(body)
    kind, algorithm, key_id = header.get("typ", ""), header.get("alg"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise refused("of a type that is not taken")
    if "crit" in header or "b64" in header:
        raise refused("with extensions that are not known")
    if not isinstance(algorithm, str) or not (key_id is None or isinstance(key_id, str)):
        raise refused("without an algorithm, or with a key's name that is no text")
    return Token(algorithm, key_id, claims, f"{head}.{body}".encode(), _bytes(signature))


def is_signed_by(token: Token, key: Key) -> bool:
    try:
        public = _public(token.algorithm, key)
        return _ALGORITHMS[token.algorithm].verify(token.signed, public, token.signature)
    except (PyJWTError, ValueError, TypeError):
        return False


@lru_cache(4 * MOST_KEYS)
def _public(algorithm: str, key: Key) -> Any:
    """Making one takes as long as using it a few times."""
    return _ALGORITHMS[algorithm].from_jwk(to_builtins(key))


def read_keys(document: Mapping[str, Any]) -> Sequence[Key]:
    """The keys of a key set that can check signatures. Raises `ValueError` for no key set."""
    return tuple(filter(_is_for_us, _keys(convert(document, _KeySet).keys[:MOST_KEYS])))


def _keys(given: Sequence[Any]) -> Iterator[Key]:
    """What we cannot read may be for others."""
    for one in given:
        with suppress(ValidationError):
            yield convert(one, Key)


def _is_for_us(key: Key) -> bool:
    if key.use != "sig" or "verify" not in key.key_ops:
        return False
    return key.kty in {"EC", "OKP"} or (key.kty == "RSA" and _bits(key.n) >= SMALLEST_RSA)


def _bits(number: str) -> int:
    try:
        return int.from_bytes(urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()
    except ValueError:
        return 0


def _object(part: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_bytes(part), object_pairs_hook=_once, parse_constant=_refuse)
        return convert(found, dict[str, Any])
    except (ValueError, RecursionError):
        raise refused("no JSON object, or with a name twice") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _bytes(part: str) -> bytes:
    """Raises `Unauthenticated` for another than the one right way to write them."""
    try:
        found = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise refused("not in base64url") from None
    if urlsafe_b64encode(found).rstrip(b"=").decode() != part:
        raise refused("not in base64url in its one right form")
    return found
