"""The figures that Prometheus collects."""

import httpx
from asking import create
from prometheus_client.parser import text_string_to_metric_families

from funnel.core.container import Stream
from funnel.core.state import State
from funnel.metrics import NODE_STATES, Metrics


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(
    http: httpx.AsyncClient,
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(answer.text)


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def test_tasks_are_counted_by_state(http: httpx.AsyncClient) -> None:
    before = await scraped(http)
    for state in State:
        assert before[key("funnel_tasks_state_count", state=state.value)] == 0
    made = [await create(http) for _ in range(3)]
    await http.post(f"/v1/tasks/{made[0]}:cancel")
    after = await scraped(http)
    assert after[key("funnel_tasks_state_count", state="QUEUED")] == 2
    assert after[key("funnel_tasks_state_count", state="CANCELED")] == 1


async def test_requests_are_counted_by_template_and_never_by_id(http: httpx.AsyncClient) -> None:
    made = await create(http)
    await http.get(f"/v1/tasks/{made}")
    await http.get("/tasks/unknown")
    await http.get("/nowhere/special")
    await http.request("PROPFIND", "/v1/tasks")
    found = await scraped(http)
    name = "funnel_http_requests_total"
    assert found[key(name, route="/tasks", method="POST", status="200")] == 1
    assert found[key(name, route="/tasks/{id}", method="GET", status="200")] == 1
    assert found[key(name, route="/tasks/{id}", method="GET", status="404")] == 1
    assert found[key(name, route="none", method="GET", status="404")] == 1
    assert found[key(name, route="/tasks", method="other", status="405")] == 1
    seconds = "funnel_http_request_seconds_count"
    assert found[key(seconds, route="/tasks/{id}", method="GET")] == 2


async def test_every_part_of_the_server_has_its_figures(
    http: httpx.AsyncClient, metrics: Metrics
) -> None:
    metrics.committed(8, 0.002)
    metrics.watch_waiting(lambda: 5)
    metrics.journaled("statechanged")
    metrics.dispatched("local", "submit", "done")
    metrics.watch_queue("local", lambda: 7)
    metrics.watch_slots(lambda: (1.5, 2.0))
    metrics.attempt_began()
    metrics.attempt_began()
    metrics.attempt_ended("COMPLETE", 3.0)
    metrics.pulled(1.0)
    metrics.moved("in", 10)
    metrics.moved("in", 5)
    metrics.printed(Stream.STDOUT)
    metrics.nodes({"ALIVE": 2}, {"total_cpus": 8, "available_ram_bytes": 1e9})
    found = await scraped(http)
    expected = {
        key("funnel_database_commit_writes_sum"): 8,
        key("funnel_database_commit_seconds_count"): 1,
        key("funnel_database_writes_waiting"): 5,
        key("funnel_journal_events_total", kind="statechanged"): 1,
        key("funnel_dispatch_total", queue="local", kind="submit", result="done"): 1,
        key("funnel_queue_waiting", queue="local"): 7,
        key("funnel_slots_free_cpus"): 1.5,
        key("funnel_slots_free_ram_bytes"): 2e9,
        key("funnel_attempts_running"): 1,
        key("funnel_attempts_total", state="COMPLETE"): 1,
        key("funnel_attempt_seconds_sum"): 3,
        key("funnel_image_pull_seconds_count"): 1,
        key("funnel_files_total", direction="in"): 2,
        key("funnel_file_bytes_total", direction="in"): 15,
        key("funnel_logging_events_dropped_total", type="stderr"): 0,
        key("funnel_logging_events_dropped_total", type="stdout"): 0,
        key("funnel_logging_events_total", type="stdout"): 1,
        key("funnel_nodes_state_count", state="ALIVE"): 2,
        key("funnel_nodes_total_cpus"): 8,
        key("funnel_nodes_available_ram_bytes"): 1e9,
        key("funnel_nodes_available_cpus"): 0,
    }
    assert {one: found[one] for one in expected} == expected


async def test_names_that_dashboards_know_are_there_from_the_start(
    http: httpx.AsyncClient,
) -> None:
    found = await scraped(http)
    assert all(found[key("funnel_nodes_state_count", state=state)] == 0 for state in NODE_STATES)
    for what in ("total", "available"):
        for amount in ("cpus", "ram_bytes", "disk_bytes"):
            assert found[key(f"funnel_nodes_{what}_{amount}")] == 0
    assert found[key("process_resident_memory_bytes")] > 0
