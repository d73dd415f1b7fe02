"""Who gets in at the HTTP door, what those are told who do not, and who is sent by another site."""

from base64 import b64encode
from collections.abc import AsyncGenerator

import httpx
import pytest
from asking import STEP, create
from doors import client, door, tasks_of

from funnel.api.gate import Gate
from funnel.api.settings import Limits
from funnel.auth.passwords import Passwords, hashed
from funnel.auth.settings import BasicCredential
from funnel.auth.users import Users
from funnel.core.access import TaskAccess
from funnel.core.error import Denied
from funnel.ports import Database
from funnel.service.callers import UNKNOWN, Callers

MISSING = {"error": "Basic/Bearer authorization token missing", "code": "UNAUTHENTICATED"}
WRONG = {"error": "Basic-authentication failed", "code": "UNAUTHENTICATED"}
CHALLENGE = 'Basic realm="Funnel", charset="UTF-8"'
KNOWN = {"ann": hashed("pike"), "bob": "carp:with:colons", "æ": "Ærø"}
USERS = Callers([Users([BasicCredential(user=name) for name in KNOWN], Passwords(KNOWN))])
ANN = httpx.BasicAuth("ann", "pike")


@pytest.fixture
async def closed(database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    """A server with accounts."""
    async with client(door(database, callers=USERS)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tasks"),
        ("POST", "/tasks"),
        ("GET", "/v1/tasks/x"),
        ("HEAD", "/v1/tasks/x"),
        ("POST", "/ga4gh/tes/v1/tasks/x:cancel"),
        ("GET", "/service-info"),
        ("GET", "/metrics"),
        ("GET", "/nothing/here"),
        ("PATCH", "/tasks"),
        ("OPTIONS", "/tasks"),
    ],
)
async def test_who_says_nothing_is_told_how_to_log_in_whatever_the_path(
    closed: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await closed.request(method, path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    if method != "HEAD":
        assert answer.json() == MISSING


@pytest.mark.parametrize("path", ["/healthz", "/health.html"])
async def test_health_is_told_to_everybody(closed: httpx.AsyncClient, path: str) -> None:
    assert (await closed.get(path)).status_code == 200
    assert (await closed.get(path, auth=httpx.BasicAuth("ann", "no"))).status_code == 200


async def test_metrics_are_for_everybody_where_the_settings_say_so(database: Database) -> None:
    async with client(door(database, callers=USERS, limits=Limits(open_metrics=True))) as http:
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/tasks")).status_code == 401


def _basic(said: bytes) -> str:
    return f"Basic {b64encode(said).decode()}"


@pytest.mark.parametrize(
    "said",
    [
        _basic(b"ann:pike"),
        _basic(b"ann:pike").replace("Basic", "basic"),
        _basic(b"ann:pike").replace("Basic ", "Basic  "),
        _basic(b"bob:carp:with:colons"),
        _basic("æ:Ærø".encode()),
    ],
)
async def test_users_get_in_with_their_passwords(closed: httpx.AsyncClient, said: str) -> None:
    assert (await closed.get("/tasks", headers={"Authorization": said})).status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        _basic(b"ann:Pike"),
        _basic(b"Ann:pike"),
        _basic(b"ann"),
        _basic(b":"),
        _basic(b"None:None"),
        _basic(b"bob:carp"),
        _basic("æ:Ærø".encode("latin-1")),
        _basic(b"ann:pike")[:-2],
        _basic(b"ann:pike") + "!",
        "Basic",
        "Basic ann:pike",
        _basic(KNOWN["ann"].encode()),
        _basic(b"ann:" + KNOWN["ann"].encode()),
        _basic(b"\0" * 10_000),
    ],
)
async def test_a_wrong_password_is_told_as_wrong_and_no_more(
    closed: httpx.AsyncClient, said: str
) -> None:
    answer = await closed.get("/tasks", headers={"Authorization": said})
    assert (answer.status_code, answer.json()) == (401, WRONG)
    assert answer.headers["www-authenticate"] == CHALLENGE


@pytest.mark.parametrize("said", ["Bearer x", "Digest x", "pike", "Basic\tx", "None"])
async def test_what_is_said_in_another_way_is_told_as_such(
    closed: httpx.AsyncClient, said: str
) -> None:
    answer = await closed.get("/tasks", headers={"Authorization": said})
    assert (answer.status_code, answer.json()["error"]) == (401, UNKNOWN)
    assert answer.headers["www-authenticate"] == CHALLENGE
    nothing = await closed.get("/tasks", headers={"Authorization": ""})
    assert nothing.json() == MISSING


async def test_two_ways_at_once_are_none(closed: httpx.AsyncClient) -> None:
    said = [("Authorization", _basic(b"ann:pike")), ("Authorization", _basic(b"bob:x"))]
    answer = await closed.get("/tasks", headers=said)
    assert answer.status_code == 401


async def test_without_accounts_what_is_said_does_not_count(http: httpx.AsyncClient) -> None:
    for said in (_basic(b"None:None"), "Bearer x", "x"):
        assert (await http.get("/tasks", headers={"Authorization": said})).status_code == 200


async def test_a_foreign_task_answers_like_one_that_is_not_there(database: Database) -> None:
    tasks = tasks_of(database, TaskAccess.OWNER)
    async with client(door(database, callers=USERS, tasks=tasks)) as http:
        http.auth = ANN
        made = await create(http)
        http.auth = httpx.BasicAuth("bob", "carp:with:colons")
        for method, end in (("GET", ""), ("GET", "/logs"), ("GET", "/events"), ("POST", ":cancel")):
            foreign = await http.request(method, f"/tasks/{made}{end}")
            absent = await http.request(method, f"/tasks/{made[::-1]}{end}")
            assert foreign.status_code == absent.status_code == 404
            assert foreign.text.replace(made, "") == absent.text.replace(made[::-1], "")
            of_both = [{**one.headers, "date": ""} for one in (foreign, absent)]
            assert of_both[0] == of_both[1]
        waits = await http.get(f"/tasks/{made}?wait=30s")
        assert waits.status_code == 404


async def test_a_key_is_its_owners(database: Database) -> None:
    tasks = tasks_of(database, TaskAccess.OWNER)
    async with client(door(database, callers=USERS, tasks=tasks)) as http:
        made = set[str]()
        for user, password in (("ann", "pike"), ("bob", "carp:with:colons"), ("ann", "pike")):
            answer = await http.post(
                "/tasks",
                json={"executors": [STEP]},
                auth=httpx.BasicAuth(user, password),
                headers={"Idempotency-Key": "same"},
            )
            made.add(answer.json()["id"])
        assert len(made) == 2


async def test_who_has_no_row_gets_nowhere() -> None:
    with pytest.raises(Denied):
        Gate(Callers(), {}).demand_row("/new", "GET")
    with pytest.raises(Denied):
        Gate(Callers(), {"/new": {"GET": None}}).demand_row("/new", "POST")


OTHERS = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://funnel"},
    {"Sec-Fetch-Site": "anything"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://funnel.evil.example"},
    {"Origin": "http://funnel:81"},
    {"Origin": "null"},
)
OURS: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://elsewhere"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://funnel"},
    {"Origin": "https://FUNNEL"},
)
KINDS = ("application/json", "text/plain", "application/x-www-form-urlencoded")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", OTHERS)
async def test_a_page_of_another_site_changes_nothing_though_the_browser_logs_it_in(
    closed: httpx.AsyncClient, said: dict[str, str], kind: str
) -> None:
    closed.auth = ANN
    made = await create(closed)
    said = {**said, "Host": "funnel", "Content-Type": kind}
    for method, path in (
        ("POST", "/tasks"),
        ("POST", f"/tasks/{made}:cancel"),
        ("DELETE", f"/tasks/{made}"),
    ):
        body = b'{"executors": [{"image": "alpine", "command": ["true"]}]}'
        answer = await closed.request(method, path, headers=said, content=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    tasks = (await closed.get("/tasks")).json()["tasks"]
    assert tasks == [{"id": made, "state": "QUEUED"}]


@pytest.mark.parametrize("said", OTHERS[:1])
async def test_nor_where_there_are_no_accounts(
    http: httpx.AsyncClient, said: dict[str, str]
) -> None:
    answer = await http.post("/tasks", headers=said, json={"executors": [STEP]})
    assert answer.status_code == 403


@pytest.mark.parametrize("said", OURS)
async def test_our_own_pages_and_who_is_no_browser_may(
    closed: httpx.AsyncClient, said: dict[str, str]
) -> None:
    said = {**said, "Host": "funnel"}
    answer = await closed.post("/tasks", headers=said, json={"executors": [STEP]}, auth=ANN)
    assert answer.status_code == 200


async def test_nothing_is_cancelled_by_a_get(closed: httpx.AsyncClient) -> None:
    closed.auth = ANN
    made = await create(closed)
    assert (await closed.get(f"/tasks/{made}:cancel")).status_code == 405
    assert (await closed.get(f"/tasks/{made}")).json()["state"] == "QUEUED"
