"""Keys that change, a provider that is away, and tokens that only the provider can read."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from doors import client, door
from msgspec.structs import replace
from providers import AUDIENCE, REDIRECT, Provider, logged_in
from showing import is_refused

from funnel.auth.oidc.bearer import FRESH, PAUSE, REMEMBERED, Bearer
from funnel.auth.oidc.login import OidcLogin
from funnel.auth.oidc.plugin import make
from funnel.auth.oidc.provider import Provider as Asked
from funnel.auth.settings import OidcAuth
from funnel.core.error import Unauthenticated, Unavailable
from funnel.core.secret import Secret
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Database
from funnel.service.callers import Callers

pytestmark = pytest.mark.xdist_group("oidc")


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Provider]:
    """A provider that a test may stop, start again and give another key."""
    one = Provider(tmp_path)
    one.start()
    yield one
    one.stop()


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _settings(provider: Provider) -> OidcAuth:
    return OidcAuth(
        service_config_url=provider.url,
        client_id="funnel",
        client_secret=Secret("secret"),
        require_audience=AUDIENCE,
    )


@asynccontextmanager
async def bearer(settings: OidcAuth, clock: Clock) -> AsyncGenerator[Bearer]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        one = Bearer(settings, Asked(settings, session), now, clock)
        yield one
        await one.close()


async def test_a_new_key_is_fetched_when_a_token_names_it(changing: Provider) -> None:
    clock = Clock()
    async with bearer(_settings(changing), clock) as one:
        old = changing.token()
        await one.caller_of(old)

        changing.stop()
        changing.change_key()
        changing.start()
        clock.now += PAUSE
        assert (await one.caller_of(changing.token())).name == "alice"
        # The key that it was signed with is no more.
        with pytest.raises(Unauthenticated):
            await one.caller_of(old)


async def test_keys_that_are_known_go_on_while_the_provider_is_away(changing: Provider) -> None:
    clock = Clock()
    async with bearer(_settings(changing), clock) as one:
        token, other = changing.token(), changing.token(kid="other")
        await one.caller_of(token)
        changing.stop()
        for _ in range(3):
            clock.now += FRESH + 1
            assert (await one.caller_of(token)).name == "alice"
            with pytest.raises(Unauthenticated):
                await one.caller_of(other)
        changing.start()


async def test_a_provider_that_was_never_there_is_503_and_not_401(
    changing: Provider, database: Database, host: Host
) -> None:
    changing.stop()
    async with make(_settings(changing), host) as oidc:
        assert oidc
        async with client(door(database, callers=Callers([oidc]))) as http:
            said = {"Authorization": f"Bearer {changing.token()}"}
            answer = await http.get("/tasks", headers=said)
            assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
            assert answer.headers["retry-after"]
            assert (await http.get("/tasks")).status_code == 401
    changing.start()


async def test_a_provider_that_comes_later_is_found(changing: Provider) -> None:
    clock = Clock()
    changing.stop()
    async with bearer(_settings(changing), clock) as one:
        token = changing.token()
        with pytest.raises(Unavailable):
            await one.caller_of(token)
        changing.start()
        with pytest.raises(Unavailable):
            await one.caller_of(token)
        clock.now += PAUSE
        assert await one.caller_of(token)


async def test_an_opaque_token_is_what_the_provider_says_of_it(changing: Provider) -> None:
    clock = Clock()
    settings = replace(_settings(changing), require_audience="", require_scope="tes")
    async with bearer(settings, clock) as one:
        token = changing.granted()
        assert "." not in token
        # Who has logged in as a client only is nobody by a name.
        with pytest.raises(Unauthenticated):
            await one.caller_of(token)
        with pytest.raises(Unauthenticated):
            await one.caller_of(token[:-1] + "_")
        with pytest.raises(Unauthenticated):
            await one.caller_of("")
        with pytest.raises(Unauthenticated):
            await one.caller_of("x" * 20_000)


async def test_an_answer_that_is_no_provider_s_is_unavailable(
    provider: Provider, settings: OidcAuth, host: Host
) -> None:
    for path in ("/nothing", "/jwks", "/auth"):
        wrong = replace(settings, service_config_url=f"{provider.issuer}{path}")
        async with make(wrong, host) as oidc:
            assert oidc
            with pytest.raises(Unavailable):
                await is_refused(oidc, provider.token())


async def test_without_a_provider_in_the_settings_there_is_no_identity(host: Host) -> None:
    async with make(OidcAuth(), host) as oidc:
        assert oidc is None


async def test_an_opaque_token_of_a_user_lets_in_until_it_is_revoked(changing: Provider) -> None:
    clock = Clock()
    settings = replace(_settings(changing), require_audience="", redirect_url=REDIRECT)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        asked = Asked(settings, session)
        one = Bearer(settings, asked, now, clock)
        login = OidcLogin(settings, asked, one, now)
        url, sealed = await login.begin()
        back = (await logged_in(url, "bob")).params
        token, seconds = await login.end(back["code"], back["state"], back["iss"], sealed)
        assert "." not in token.reveal()
        assert seconds == 3600
        assert (await one.caller_of(token.reveal())).name == "bob"

        changing.revoke(token.reveal())
        # It is believed for a while, so that the provider is not asked each time.
        assert (await one.caller_of(token.reveal())).name == "bob"
        clock.now += REMEMBERED + 1
        with pytest.raises(Unauthenticated):
            await one.caller_of(token.reveal())
        await one.close()


async def test_opaque_tokens_need_a_secret_to_ask_with(changing: Provider) -> None:
    settings = replace(_settings(changing), client_secret=Secret(""))
    async with bearer(settings, Clock()) as one:
        with pytest.raises(Unauthenticated):
            await one.caller_of(changing.granted())
