"""Browsers log in at the provider, and what they are given counts for nothing by itself."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from asking import STEP
from doors import client, door
from msgspec.structs import replace
from providers import AUDIENCE, REDIRECT, Provider, logged_in

from funnel.auth.oidc.plugin import make
from funnel.auth.passwords import Passwords
from funnel.auth.settings import BasicCredential, OidcAuth
from funnel.auth.users import Users
from funnel.plugins import Host
from funnel.ports import Database, Identity
from funnel.service.callers import Callers

pytestmark = pytest.mark.xdist_group("oidc")


async def _back(http: httpx.AsyncClient, user: str = "bob") -> str:
    """Where a browser comes back to that went to log in."""
    at = await logged_in((await http.get("/login")).headers["location"], user)
    return f"/login?{at.query.decode()}"


def _cookies(answer: httpx.Response) -> dict[str, str]:
    """What is said of each that is set."""
    pairs = (one.partition("=") for one in answer.headers.get_list("set-cookie"))
    return {name: said for name, _, said in pairs}


@pytest.mark.parametrize("user", ["bob", "admin"])
async def test_who_logs_in_gets_a_token_with_which_pages_ask(
    http: httpx.AsyncClient, user: str
) -> None:
    ended = await http.get(await _back(http, user))
    assert (ended.status_code, ended.headers["location"]) == (303, "/")
    token = (await http.get("/login/token")).text
    said = {"Authorization": f"Bearer {token}"}
    made = await http.post("/tasks", json={"executors": [STEP]}, headers=said)
    assert made.status_code == 200
    answer = await http.delete(f"/tasks/{made.json()['id']}", headers=said)
    assert answer.status_code == (409 if user == "admin" else 403)


async def test_the_provider_is_asked_with_all_that_keeps_others_out(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    answer = await http.get("/login")
    assert answer.status_code == 303
    url = urlsplit(answer.headers["location"])
    assert f"{url.scheme}://{url.netloc}" == provider.issuer
    asked = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert (asked["response_type"], asked["client_id"]) == ("code", "funnel")
    assert (asked["redirect_uri"], asked["resource"]) == (REDIRECT, AUDIENCE)
    assert asked["scope"] == "openid tes"
    assert asked["code_challenge_method"] == "S256"
    again = parse_qs(urlsplit((await http.get("/login")).headers["location"]).query)
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert again[name] != [asked[name]]
    cookie = _cookies(answer)["funnel_login"]
    assert not any(asked[name] in cookie for name in ("state", "nonce", "code_challenge"))
    assert cookie.endswith("; Path=/login; Max-Age=600; HttpOnly; SameSite=Lax")


async def test_the_cookie_of_the_token_is_for_one_path_of_this_site(
    http: httpx.AsyncClient,
) -> None:
    cookies = _cookies(await http.get(await _back(http)))
    assert "; Path=/login/token; Max-Age=3600; HttpOnly; SameSite=Strict" in cookies["jwt"]
    assert "; Max-Age=0;" in cookies["funnel_login"]


async def test_over_tls_cookies_are_for_tls(
    settings: OidcAuth, host: Host, database: Database
) -> None:
    secure = replace(settings, redirect_url="https://funnel.example/sub/login")
    async with make(secure, host) as oidc:
        assert oidc
        async with client(door(database, callers=Callers([oidc]))) as http:
            cookie = _cookies(await http.get("/login"))["funnel_login"]
    assert cookie.endswith("; Path=/sub/login; Max-Age=600; HttpOnly; SameSite=Lax; Secure")


async def test_the_cookie_alone_does_nothing(http: httpx.AsyncClient) -> None:
    await http.get(await _back(http))
    token = (await http.get("/login/token")).text
    assert token
    for method, path in (("POST", "/tasks"), ("GET", "/tasks"), ("POST", "/tasks/x:cancel")):
        answer = await http.request(method, path, headers={"Cookie": f"jwt={token}"})
        assert answer.status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_page_of_another_site_is_not_told_the_token(
    http: httpx.AsyncClient, site: str
) -> None:
    await http.get(await _back(http))
    answer = await http.get("/login/token", headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_who_logs_out_has_no_token_any_more(http: httpx.AsyncClient) -> None:
    await http.get(await _back(http))
    assert (await http.get("/login/token")).text
    refused = await http.delete("/login/token", headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403
    assert (await http.get("/login/token")).text
    assert (await http.delete("/login/token")).status_code == 204
    assert (await http.get("/login/token")).text == ""


async def test_who_is_not_logged_in_is_told_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.get("/login/token")
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_what_another_browser_has_begun_is_not_ended_here(http: httpx.AsyncClient) -> None:
    back = await _back(http)
    http.cookies.clear()
    assert (await http.get(back)).status_code == 401
    await http.get("/login")
    answer = await http.get(back)
    assert answer.status_code == 401
    assert "begin anew" in answer.json()["error"]
    assert (await http.get("/login/token")).text == ""


@pytest.mark.parametrize(
    "change",
    [
        {"state": "x"},
        {"state": ""},
        {"state": "æ"},
        {"code": "x"},
        {"iss": "https://evil.example"},
    ],
)
async def test_what_comes_back_changed_is_refused(
    http: httpx.AsyncClient, change: dict[str, str]
) -> None:
    back = httpx.URL(await _back(http)).copy_merge_params(change)
    assert (await http.get(back)).status_code == 401
    assert (await http.get("/login/token")).text == ""


@pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", "gAAAAA~!"])
async def test_a_seal_that_is_not_ours_is_refused(http: httpx.AsyncClient, sealed: str) -> None:
    back = await _back(http)
    http.cookies.clear()
    answer = await http.get(back, headers=[("Cookie", f"funnel_login={sealed}")])
    assert answer.status_code == 401


async def test_a_code_is_good_once(http: httpx.AsyncClient) -> None:
    back = await _back(http)
    kept = http.cookies["funnel_login"]
    assert (await http.get(back)).status_code == 303
    http.cookies.clear()
    again = await http.get(back, headers={"Cookie": f"funnel_login={kept}"})
    assert again.status_code == 401


async def test_a_login_that_takes_too_long_is_begun_anew(
    settings: OidcAuth, host: Host, database: Database
) -> None:
    async with make(settings, host) as early:
        assert early
        async with client(door(database, callers=Callers([early]))) as http:
            back, kept = await _back(http), http.cookies["funnel_login"]
    late = Host(now=lambda: host.now() + timedelta(seconds=601), deployment="test")
    async with make(replace(settings, leeway=timedelta(hours=1)), late) as oidc:
        assert oidc
        async with client(door(database, callers=Callers([oidc]))) as http:
            answer = await http.get(back, headers={"Cookie": f"funnel_login={kept}"})
    assert answer.status_code == 401
    assert "begin anew" in answer.json()["error"]


async def test_another_server_of_the_same_settings_ends_what_one_has_begun(
    settings: OidcAuth, host: Host, database: Database, http: httpx.AsyncClient
) -> None:
    back, kept = await _back(http), http.cookies["funnel_login"]
    async with make(settings, host) as oidc:
        assert oidc
        async with client(door(database, callers=Callers([oidc]))) as other:
            answer = await other.get(back, headers={"Cookie": f"funnel_login={kept}"})
    assert answer.status_code == 303


async def test_who_is_refused_by_the_provider_is_told_so(http: httpx.AsyncClient) -> None:
    answer = await http.get(await _back(http, "mallory"))
    assert answer.status_code == 401
    assert answer.json()["error"] == "the identity provider refuses: 'access_denied'"


async def test_without_accounts_there_is_nothing_to_log_in_to(database: Database) -> None:
    async with client(door(database)) as http:
        answer = await http.get("/login")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert (await http.get("/login/token")).text == ""
        assert (await http.post("/login")).status_code == 405


async def test_with_passwords_the_browser_is_asked_for_one(
    database: Database, oidc: Identity
) -> None:
    users = Users([BasicCredential(user="ann")], Passwords({"ann": "pike"}))
    for callers in (Callers([users]), Callers([users, oidc])):
        async with client(door(database, callers=callers)) as http:
            right = await http.get("/login", auth=httpx.BasicAuth("ann", "pike"))
            assert (right.status_code, right.headers["location"]) == (303, "/")
            wrong = await http.get("/login", auth=httpx.BasicAuth("ann", "carp"))
            assert wrong.status_code == 401
            assert "Basic" in wrong.headers["www-authenticate"]
    async with client(door(database, callers=Callers([users]))) as http:
        assert (await http.get("/login")).status_code == 401
