"""A real OpenID Connect provider, whose keys the tests have as well."""

import json
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from funnel.net.clock import now as clock

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SCRIPT: Final = ROOT / "scripts" / "oidc.sh"
REDIRECT: Final = "http://127.0.0.1:9/login"
AUDIENCE: Final = "https://funnel.example/api"
PATIENCE: Final = 60.0
PROVIDER_LOGIN: Final = httpx.BasicAuth("funnel", "secret")


class Provider:
    """`seconds` is how long its tokens are good."""

    def __init__(self, home: Path, seconds: int = 3600) -> None:
        self._home = home
        self.port = _free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.issuer}/.well-known/openid-configuration"
        settings = {"redirect": REDIRECT, "audience": AUDIENCE, "seconds": seconds}
        (home / "settings.json").write_text(json.dumps(settings))
        self.change_key()

    def change_key(self) -> None:
        """Counts from the next start."""
        self.key: RSAPrivateKey = generate_private_key(65537, 2048)
        self.key_id = f"key-{time.monotonic_ns()}"
        key = {**RSAAlgorithm.to_jwk(self.key, as_dict=True), "kid": self.key_id, "use": "sig"}
        del key["key_ops"]
        (self._home / "jwks.json").write_text(json.dumps({"keys": [key]}))

    def start(self) -> None:
        with (self._home / "provider.log").open("ab") as log:
            self._process = subprocess.Popen(
                [SCRIPT, "run", self._home, str(self.port)], stdout=log, stderr=log
            )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self._home / "provider.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url).status_code == 200
        except httpx.TransportError:
            return False

    def claims(self, **given: Any) -> dict[str, Any]:
        """Those of a good token, but for what is given; None takes one away."""
        now = int(clock().timestamp())
        good = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
            "scope": "openid tes",
        }
        return {name: one for name, one in {**good, **given}.items() if one is not None}

    def token(self, claims: Mapping[str, Any] | None = None, **head: Any) -> str:
        """As the provider itself would sign it."""
        heads = {"kid": self.key_id, "typ": "at+jwt", **head}
        return jwt.encode({**(claims or self.claims())}, self.key, "RS256", headers=heads)

    def granted(self, **asked: str) -> str:
        """An access token that the provider has made itself, for its client."""
        form = {"grant_type": "client_credentials", "scope": "tes", **asked}
        answer = httpx.post(f"{self.issuer}/token", data=form, auth=PROVIDER_LOGIN)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def revoke(self, token: str) -> None:
        asked = {"token": token}
        url = f"{self.issuer}/token/revocation"
        assert httpx.post(url, data=asked, auth=PROVIDER_LOGIN).status_code == 200


async def logged_in(url: str, user: str) -> httpx.URL:
    """Where the provider sends a browser back to in which this user logs in."""
    async with httpx.AsyncClient() as browser:
        at = httpx.URL(url).copy_merge_params({"login_hint": user})
        while not str(at).startswith(REDIRECT):
            answer = await browser.get(at)
            assert answer.is_redirect, answer.text
            at = at.join(answer.headers["location"])
        return at


def install() -> None:
    subprocess.run([SCRIPT, "install"], check=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
