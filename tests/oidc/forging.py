"""Making tokens that the provider would not make."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as make_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm
from providers import Provider

OTHER = generate_private_key(65537, 2048)
EC = make_ec_key(SECP256R1())


def part(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def written(provider: Provider, claims: str, head: str = "", algorithm: str = "RS256") -> str:
    """Signed by the provider's key, whatever is in it."""
    head = head or json.dumps({"alg": algorithm, "kid": provider.key_id})
    signed = f"{part(head)}.{part(claims)}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed.encode(), provider.key)
    return f"{signed}.{part(signature)}"


def unsigned(provider: Provider, algorithm: str) -> str:
    head = {"alg": algorithm, "kid": provider.key_id}
    return f"{part(json.dumps(head))}.{part(json.dumps(provider.claims()))}."


def by_public_key(provider: Provider, as_text: Callable[[Provider], bytes]) -> str:
    """HS256 with what everybody knows."""
    head = part(json.dumps({"alg": "HS256", "kid": provider.key_id}))
    signed = f"{head}.{part(json.dumps(provider.claims()))}"
    signature = hmac.new(as_text(provider), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(signature)}"


def pem(provider: Provider) -> bytes:
    return provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwk(provider: Provider) -> bytes:
    return RSAAlgorithm.to_jwk(provider.key.public_key()).encode()


def jwks_of(key: Any) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "mine"}


def claims(provider: Provider) -> str:
    return json.dumps(provider.claims())


def head(provider: Provider, **given: Any) -> str:
    return json.dumps({"alg": "RS256", "kid": provider.key_id, **given})


def with_own_key(provider: Provider, **head: Any) -> str:
    return jwt.encode(provider.claims(), OTHER, "RS256", headers=head)


def flipped(token: str, place: int) -> str:
    """Another letter there, which is another bit that counts."""
    letter = "A" if token[place] != "A" else "Q"
    return token[:place] + letter + token[place + 1 :]
