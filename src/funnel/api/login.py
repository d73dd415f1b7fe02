"""Where browsers log in, and get the token that their pages then send."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from funnel.api.answer import Answer
from funnel.api.gate import credentials_of, is_from_another_site
from funnel.api.request import Request
from funnel.api.routes import Route
from funnel.core.error import Denied, Unauthenticated
from funnel.ports import Login
from funnel.service.callers import Callers

TEXT: Final = "text/plain; charset=utf-8"
BEGUN: Final = "funnel_login"
# S105: the name of the cookie, as the reference has it, and no secret.
TOKEN: Final = "jwt"  # noqa: S105
LASTS: Final = 600
"""Seconds for which what was begun is kept."""
LONGEST: Final = 3800
"""Characters of a token: browsers keep cookies of 4096 with all that is said of them."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")


class LoginDoor:
    """
    The token is in a cookie that no page can read, and that counts for nothing by itself.

    Pages of ours ask for it here and send it in a header, as any client does, so that a page of
    another site can do nothing in the name of who is logged in.
    """

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def routes(self) -> Mapping[str, Route]:
        login = Route("/login", {"GET": self.login})
        token = Route("/login/token", {"GET": self.token, "DELETE": self.log_out})
        return {route.template: route for route in (login, token)}

    async def login(self, request: Request) -> Answer:
        """Ends at the first page, by way of the provider where there is one."""
        login, callers = self._callers.login, self._callers
        if callers.are_known and (login is None or request.header(b"authorization")):
            await callers.caller_of(credentials_of(request))
        elif login:
            return await self._at_provider(login, request)
        return _see_other("/")

    async def token(self, request: Request) -> Answer:
        """As text; empty for who is not logged in. No page of another site is told."""
        if is_from_another_site(request):
            raise Denied("a page of another site may not see this")
        answer = Answer(_cookie(request, TOKEN).encode("latin-1"), kind=TEXT)
        answer.add("X-Content-Type-Options", "nosniff")
        return answer

    async def log_out(self, request: Request) -> Answer:
        """Let the browser forget the token; who has it elsewhere has it until it is over."""
        if is_from_another_site(request):
            raise Denied("a page of another site may not do this")
        answer = Answer(b"", 204, TEXT)
        if login := self._callers.login:
            _set_cookie(answer, login, f"{TOKEN}=; Path={login.path}/token", 0, "Strict")
        return answer

    async def _at_provider(self, login: Login, request: Request) -> Answer:
        said = parse_qs(request.query.decode("latin-1"))
        if "error" in said:
            raise Unauthenticated(f"the identity provider refuses: {said['error'][0][:80]!r}")
        if "code" in said:
            return await self._end(login, request, said)
        url, sealed = await login.begin()
        answer = _see_other(url)
        # Lax, since browsers shall send it when they are sent back by the provider.
        _set_cookie(answer, login, f"{BEGUN}={sealed}; Path={login.path}", LASTS, "Lax")
        return answer

    async def _end(self, login: Login, request: Request, said: Mapping[str, list[str]]) -> Answer:
        code, state, issuer = (said.get(name, [""])[0] for name in ("code", "state", "iss"))
        token, seconds = await login.end(code, state, issuer, _cookie(request, BEGUN))
        text = token.reveal()
        if len(text) > LONGEST or not _TOKEN.fullmatch(text):
            raise Unauthenticated("the provider's token does not fit into a cookie")
        answer = _see_other(login.path.removesuffix("login"))
        _set_cookie(answer, login, f"{BEGUN}=; Path={login.path}", 0, "Lax")
        _set_cookie(answer, login, f"{TOKEN}={text}; Path={login.path}/token", seconds, "Strict")
        return answer


def _see_other(url: str) -> Answer:
    answer = Answer(b"", 303, TEXT)
    answer.add("Location", url)
    return answer


def _set_cookie(answer: Answer, login: Login, cookie: str, seconds: int, site: str) -> None:
    secure = "; Secure" if login.is_secure else ""
    answer.add("Set-Cookie", f"{cookie}; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}")


def _cookie(request: Request, name: str) -> str:
    """Its value; empty where it was not sent, or twice."""
    pairs = (pair.strip().partition("=") for pair in request.header(b"cookie").split(";"))
    found = [value for key, _, value in pairs if key == name]
    return found[0] if len(found) == 1 else ""
