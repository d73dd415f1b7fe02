"""Which keys of a provider may check which signatures."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurve
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as make_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt import encode
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from msgspec import ValidationError

from funnel.auth.oidc.jws import MOST_KEYS, is_signed_by, read_keys, read_token
from funnel.config.accounts import ALGORITHMS
from funnel.core.error import Unauthenticated

RSA = generate_private_key(65537, 2048)
ED = Ed25519PrivateKey.generate()


def _public(**more: Any) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)
    return {**jwk, "kid": "a", **more}


def _ec(curve: EllipticCurve) -> Any:
    return make_ec_key(curve)


PRIVATE: dict[str, Any] = {
    "RS256": RSA,
    "PS384": RSA,
    "ES256": _ec(SECP256R1()),
    "ES384": _ec(SECP384R1()),
    "EdDSA": ED,
}


def _jwk(algorithm: str) -> dict[str, Any]:
    key = PRIVATE[algorithm].public_key()
    match algorithm[:2]:
        case "ES":
            return ECAlgorithm.to_jwk(key, as_dict=True)
        case "Ed":
            return OKPAlgorithm.to_jwk(key, as_dict=True)
        case _:
            return RSAAlgorithm.to_jwk(key, as_dict=True)


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_signature_is_checked_in_the_way_it_was_made(algorithm: str) -> None:
    token = read_token(encode({"sub": "ann"}, PRIVATE[algorithm], algorithm))
    (key,) = read_keys({"keys": [_jwk(algorithm)]})
    assert key.fits(algorithm)
    assert is_signed_by(token, key)
    for other in PRIVATE:
        if other[:2] != algorithm[:2] and not {other, algorithm} <= {"RS256", "PS384"}:
            (theirs,) = read_keys({"keys": [_jwk(other)]})
            assert not theirs.fits(algorithm)


def test_a_key_that_names_its_algorithm_is_for_no_other() -> None:
    (key,) = read_keys({"keys": [_public(alg="RS256")]})
    assert [one for one in sorted(ALGORITHMS) if key.fits(one)] == ["RS256"]


def test_no_key_fits_what_is_signed_with_a_shared_one() -> None:
    (key,) = read_keys({"keys": [_public()]})
    assert not any(map(key.fits, ("HS256", "none", "", "rs256", "ES256")))
    assert {"HS256", "HS384", "HS512", "none"}.isdisjoint(ALGORITHMS)


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        _public(use="enc"),
        _public(key_ops=["encrypt"]),
        _public(key_ops=[]),
        _public(kty="DSA"),
        _public(kty=1),
        _public(n="AQAB"),
        _public(n="!"),
        _public(n=None),
        _public(n="_" * 170),
        {},
        "text",
        None,
        [],
    ],
)
def test_what_cannot_check_signatures_is_passed_over(other: Any) -> None:
    assert [key.kid for key in read_keys({"keys": [other, _public(kid="b")]})] == ["b"]


def test_a_key_of_which_the_point_is_not_on_its_curve_has_signed_nothing() -> None:
    token = read_token(encode({}, PRIVATE["ES256"], "ES256"))
    (key,) = read_keys({"keys": [{**_jwk("ES256"), "x": _jwk("ES256")["y"]}]})
    assert not is_signed_by(token, key)


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "a"}])
def test_what_is_no_key_set_is_told(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_keys(document)


def test_a_key_set_has_an_end() -> None:
    assert len(read_keys({"keys": [_public()] * 1000})) == MOST_KEYS


@pytest.mark.parametrize("text", ["", "None", "a.b", "a.b.c.d", "....", "a" * 20_000, "é.é.é"])
def test_what_has_not_three_parts_is_no_token(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read_token(text)
