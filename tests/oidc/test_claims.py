"""Tokens that are right let in who they are of; what is wrong with any part of one keeps out."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import jwt
import pytest
from forging import written
from providers import AUDIENCE, Provider
from showing import is_refused, shown

from funnel.auth.oidc.plugin import make
from funnel.auth.settings import OidcAuth
from funnel.core.access import Caller
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Credentials, Identity

pytestmark = pytest.mark.xdist_group("oidc")

SECOND = int(now().timestamp())
"""When tests were collected, which may be long before they run."""


async def test_a_token_that_the_provider_has_made_lets_in(
    provider: Provider, oidc: Identity
) -> None:
    token = provider.granted(resource=AUDIENCE)
    assert token.count(".") == 2
    assert await shown(oidc, token) == Caller(name="funnel")


async def test_the_name_is_the_subject(provider: Provider, oidc: Identity) -> None:
    for subject in ("alice", "æ", "a@b", "auth0|123 4", "x" * 255):
        token = provider.token(provider.claims(sub=subject))
        assert await shown(oidc, token) == Caller(name=subject)


@pytest.mark.parametrize(
    ("given", "is_admin"),
    [
        ({"sub": "boss"}, True),
        ({"sub": "Boss"}, False),
        ({"groups": ["staff", "admins"]}, True),
        ({"groups": "admins"}, True),
        ({"groups": ["Admins"]}, False),
        ({"groups": "admins staff"}, False),
        ({"groups": {"admins": True}}, False),
        ({"groups": None}, False),
        ({"roles": ["admins"]}, False),
    ],
)
async def test_administrators_are_known_by_subject_or_claim(
    provider: Provider, oidc: Identity, given: Mapping[str, Any], *, is_admin: bool
) -> None:
    caller = await shown(oidc, provider.token(provider.claims(**given)))
    assert caller
    assert caller.administrator is is_admin


async def test_a_claim_within_a_claim_makes_administrators_too(
    provider: Provider, settings: OidcAuth, host: Host
) -> None:
    inner = OidcAuth(
        service_config_url=settings.service_config_url,
        client_id="funnel",
        require_audience=AUDIENCE,
        admin_claim="realm_access.roles=admin",
    )
    async with make(inner, host) as oidc:
        assert oidc
        for roles, is_admin in ((["admin"], True), (["user"], False), ("admin", True)):
            token = provider.token(provider.claims(realm_access={"roles": roles}))
            caller = await shown(oidc, token)
            assert caller
            assert caller.administrator is is_admin


@pytest.mark.parametrize(
    "given",
    [
        {"aud": [AUDIENCE, "others"]},
        {"scope": ["openid", "tes"]},
        {"scope": None, "scp": ["tes"]},
        {"nbf": SECOND - 10},
        {"exp": SECOND + 86_400.5},
        {"iat": None},
        {"iat": SECOND + 20},
    ],
)
async def test_what_others_write_in_another_way_is_right_too(
    provider: Provider, oidc: Identity, given: Mapping[str, Any]
) -> None:
    assert await shown(oidc, provider.token(provider.claims(**given)))


@pytest.mark.parametrize("head", [{"typ": "JWT"}, {"typ": "application/at+jwt"}, {"kid": None}])
async def test_a_head_may_say_less(
    provider: Provider, oidc: Identity, head: Mapping[str, Any]
) -> None:
    heads = {"kid": provider.key_id, **head}
    heads = {name: one for name, one in heads.items() if one is not None}
    token = jwt.encode(provider.claims(), provider.key, "RS256", headers=heads)
    assert await shown(oidc, token)


CLAIMS: Mapping[str, Mapping[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer with a slash more": {"iss": "{issuer}/"},
    "no issuer": {"iss": None},
    "issuers": {"iss": ["{issuer}"]},
    "another audience": {"aud": "https://other.example/api"},
    "an audience that begins alike": {"aud": f"{AUDIENCE}/more"},
    "no audience": {"aud": None},
    "an empty audience": {"aud": []},
    "an audience that is no text": {"aud": [1, AUDIENCE]},
    "an audience within": {"aud": {"x": AUDIENCE}},
    "over": {"exp": 1_000_000_000},
    "over since a minute": {"exp": SECOND - 60},
    "never over": {"exp": None},
    "over as text": {"exp": "text"},
    "over as yes": {"exp": True},
    "over at a huge number": {"exp": 10**400},
    "over beyond all time": {"exp": 1e300},
    "over at a list": {"exp": [1]},
    "not yet": {"nbf": 4_000_000_000},
    "not yet as text": {"nbf": "soon"},
    "made in the future": {"iat": 4_000_000_000},
    "no scope": {"scope": None},
    "another scope": {"scope": "openid email"},
    "a scope that begins alike": {"scope": "tesseract"},
    "a scope within": {"scope": {"tes": True}},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is no text": {"sub": 1},
    "subjects": {"sub": ["alice"]},
    "a subject of two lines": {"sub": "alice\nbob"},
    "a subject with a nothing": {"sub": "alice\0"},
    "a subject too long": {"sub": "x" * 256},
}


@pytest.mark.parametrize("what", CLAIMS)
async def test_claims_that_are_not_for_us_and_now_keep_out(
    provider: Provider, oidc: Identity, what: str
) -> None:
    given = json.loads(json.dumps(CLAIMS[what]).replace("{issuer}", provider.issuer))
    assert await is_refused(oidc, written(provider, json.dumps(provider.claims(**given))))


async def test_at_the_door_it_is_401_with_the_way_to_log_in(
    provider: Provider, http: httpx.AsyncClient
) -> None:
    answer = await http.get("/tasks", headers={"Authorization": "Bearer x.y.z"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "Bearer authorization token not accepted"
    assert answer.headers["www-authenticate"] == 'Bearer realm="Funnel"'
    good = {"Authorization": f"bearer {provider.token()}"}
    assert (await http.get("/tasks", headers=good)).status_code == 200


@pytest.mark.parametrize("said", ["", "Basic YTpi", "Digest x", "Bearer"])
async def test_what_is_no_bearer_token_is_left_to_others(oidc: Identity, said: str) -> None:
    found = Credentials(headers={"authorization": said})
    if said == "Bearer":
        assert await is_refused(oidc, "")
    else:
        assert await oidc.identify(found) is None


async def test_without_an_audience_in_the_settings_it_is_the_client(
    provider: Provider, settings: OidcAuth, host: Host
) -> None:
    less = OidcAuth(service_config_url=settings.service_config_url, client_id="funnel")
    async with make(less, host) as oidc:
        assert oidc
        assert await shown(oidc, provider.token(provider.claims(aud="funnel")))
        assert await is_refused(oidc, provider.token())
