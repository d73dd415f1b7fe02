"""Tokens of the environment of this process, as Azure's own programs look for them."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Invalid, Unavailable
from funnel.core.value import Value
from funnel.net.client import Client, place_of
from funnel.ports import Clock
from funnel.program import printed
from funnel.storage.azure.identity import Source, Token
from funnel.storage.web import heard, refusal

RESOURCE: Final = "https://storage.azure.com"
AUTHORITY: Final = "https://login.microsoftonline.com"
MACHINE: Final = "http://169.254.169.254"
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PATIENCE: Final = 20.0
"""Seconds for a token."""
PRESENCE: Final = 3.0
"""Seconds for a machine of Azure's to say that it is one."""
PROGRAM_PATIENCE: Final = 60.0
"""Seconds for `az`, which takes long to start."""
BRIEF: Final = 300.0
"""Seconds that a token is taken to last which does not say."""


class Given(Value, kw_only=True):
    """As services write it, which differ in what is a number."""

    access_token: str
    expires_in: str | float = 0
    expires_on: str | float = 0


class GivenByProgram(Value, kw_only=True, rename={"access_token": "accessToken"}):
    """As `az` writes it; its `expiresOn` is in the time of the machine."""

    access_token: str = ""
    expires_on: float = 0.0


class Surrounding:
    """`environ` are the variables of this process."""

    def __init__(self, environ: Mapping[str, str], client: Client, now: Clock) -> None:
        self._environ = environ
        self._client = client
        self._now = now

    def sources(self) -> Sequence[Source]:
        return (self._secret, self._workload, self._service, self._machine, self._program)

    async def _secret(self) -> Token | None:
        """An application, and its password."""
        secret = self._get("AZURE_CLIENT_SECRET")
        if not (secret and self._names_client()):
            return None
        return await self._of_client({"client_secret": secret}, "AZURE_CLIENT_SECRET")

    async def _workload(self) -> Token | None:
        """A token in a file that Entra takes for an application, as Kubernetes gives it."""
        file = self._get("AZURE_FEDERATED_TOKEN_FILE")
        if not (file and self._names_client()):
            return None
        try:
            found = (await asyncio.to_thread(Path(file).read_text, "utf-8")).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"AZURE_FEDERATED_TOKEN_FILE cannot be read: {error}") from error
        form = {"client_assertion_type": ASSERTION, "client_assertion": found}
        return await self._of_client(form, "AZURE_FEDERATED_TOKEN_FILE")

    async def _service(self) -> Token | None:
        """What a service of Azure's that runs this program offers it."""
        url, header = self._get("IDENTITY_ENDPOINT"), self._get("IDENTITY_HEADER")
        if not (url and header):
            return None
        call = f"{url}?{self._query('2019-08-01')}", {"X-IDENTITY-HEADER": header}
        return await self._asked("GET", *call, "check IDENTITY_ENDPOINT and IDENTITY_HEADER")

    async def _machine(self) -> Token | None:
        """The identity of a virtual machine of Azure's; others do not answer, or not with one."""
        base = (self._get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or MACHINE).rstrip("/")
        url = f"{base}/metadata/identity/oauth2/token"
        origin, target = place_of(f"{url}?{self._query('2018-02-01')}")
        try:
            async with (
                asyncio.timeout(PRESENCE),
                self._client.request("GET", origin, target, {"Metadata": "true"}) as answer,
            ):
                if answer.status in {410, 429} or answer.status >= 500:
                    raise await refusal(answer, url, "asking for a token")
                text = await answer.read() if answer.status == 200 else b""
        except OSError:
            return None
        return self._token(text, url) if text else None

    async def _program(self) -> Token | None:
        """Who has logged in with `az login`."""
        program = await asyncio.to_thread(shutil.which, "az", path=self._get("PATH"))
        if not program:
            return None
        words = (program, "account", "get-access-token", "--resource", RESOURCE, "--output", "json")
        try:
            async with asyncio.timeout(PROGRAM_PATIENCE):
                said = await printed(words)
        except TimeoutError:
            raise Unavailable(f"az said nothing within {PROGRAM_PATIENCE:g} s") from None
        except ChildProcessError:
            return None
        try:
            found = json.decode(said, type=GivenByProgram)
        except (DecodeError, ValidationError):
            raise Unavailable("what az says is no token") from None
        until = found.expires_on or self._now().timestamp() + BRIEF
        return Token(found.access_token, until) if found.access_token else None

    async def _of_client(self, form: Mapping[str, str], variable: str) -> Token:
        host = (self._get("AZURE_AUTHORITY_HOST") or AUTHORITY).rstrip("/")
        host = host if "://" in host else f"https://{host}"
        more = {
            "client_id": self._get("AZURE_CLIENT_ID"),
            "grant_type": "client_credentials",
            "scope": f"{RESOURCE}/.default",
        }
        url = f"{host}/{quote(self._get('AZURE_TENANT_ID'))}/oauth2/v2.0/token"
        body = urlencode({**more, **form}).encode()
        return await self._asked("POST", url, FORM, f"check {variable}", body)

    async def _asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        check: str,
        body: bytes | None = None,
    ) -> Token:
        with heard(url, "asking for a token"):
            origin, target = place_of(url)
            async with (
                asyncio.timeout(PATIENCE),
                self._client.request(method, origin, target, headers, body) as answer,
            ):
                if answer.status != 200:
                    raise await refusal(answer, url, "asking for a token", check)
                return self._token(await answer.read(), url)

    def _token(self, text: bytes, url: str) -> Token:
        """Raises `Unavailable` for what is none."""
        try:
            found = json.decode(text, type=Given)
            lasting, until = float(found.expires_in or BRIEF), float(found.expires_on or 0)
        except (DecodeError, ValidationError, ValueError):
            raise Unavailable(f"what came from {url} is no token") from None
        return Token(found.access_token, until or self._now().timestamp() + lasting)

    def _query(self, version: str) -> str:
        client = self._get("AZURE_CLIENT_ID")
        more = {"client_id": client} if client else {}
        return urlencode({"api-version": version, "resource": RESOURCE, **more})

    def _names_client(self) -> bool:
        return bool(self._get("AZURE_TENANT_ID") and self._get("AZURE_CLIENT_ID"))

    def _get(self, name: str) -> str:
        return self._environ.get(name, "")
