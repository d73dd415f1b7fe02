"""What the server counts, for Prometheus and for `/healthz`."""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from funnel.core.container import Stream
from funnel.core.state import State
from funnel.core.value import Value
from funnel.tally import Spread, Tally

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

NODE_STATES: Final = ("UNINITIALIZED", "ALIVE", "DEAD", "GONE", "INITIALIZING", "DRAIN")
NODE_AMOUNTS: Final = ("cpus", "ram_bytes", "disk_bytes")

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE"})
_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_REQUEST_LABELS: Final = ("route", "method")
_COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_COMMIT_WRITES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_ATTEMPT_SECONDS: Final = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600)
_PULL_SECONDS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900)


class LogCounts(Value, kw_only=True):
    """Pieces of stdout and stderr: `total` were written down, and none is ever dropped."""

    stderr_events_dropped: int = 0
    stdout_events_dropped: int = 0
    total_events: int = 0


class Metrics:
    """
    Everything that is counted, in plain calls. One for each server; nothing is global.

    Calls are cheap and never fail, so they may stand on any path; they belong to the loop's thread.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._pieces = 0
        self._requests()
        self._tasks()
        self._nodes()
        self._database()
        self._work()
        self._sinks()
        self._inputs()

    def exposition(self) -> bytes:
        """In the text format that `CONTENT_TYPE` names."""
        return generate_latest(self._registry)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """One HTTP request; `route` is its template, so that ids make no series of their own."""
        known = method if method in _METHODS else "other"
        self._answers.of[route, known, status] += 1
        self._answer_seconds.seen(seconds, (route, known))

    def called(self, method: str, code: str) -> None:
        """One call of a gRPC method that there is; `code` is the name of its status."""
        key = (method, code)
        if key not in self._called:
            self._called[key] = self._calls.labels(method, code)
        self._called[key].inc()

    def call_took(self, method: str, seconds: float) -> None:
        """For a call without streams: those last as long as their callers like."""
        if method not in self._call_took:
            self._call_took[method] = self._call_seconds.labels(method)
        self._call_took[method].observe(seconds)

    def watch_watchers(self, waiting: Callable[[], int]) -> None:
        """Ask this how many requests wait for news of tasks, at each look."""
        self._watchers.set_function(waiting)

    def watch_workers(self, connected: Callable[[], int]) -> None:
        """Ask this how many workers are connected, at each look."""
        self._workers.set_function(connected)

    def counted(self, counts: Mapping[State, int]) -> None:
        """How many tasks are in each state now."""
        for state in State:
            self._task_states.labels(state.value).set(counts.get(state, 0))

    def nodes(self, states: Mapping[str, int], amounts: Mapping[str, float]) -> None:
        """Sums over all nodes; `amounts` by `total_cpus`, `available_ram_bytes` and the like."""
        for state in NODE_STATES:
            self._node_states.labels(state).set(states.get(state, 0))
        for name, gauge in self._node_amounts.items():
            gauge.set(amounts.get(name, 0))

    def committed(self, writes: int, seconds: float) -> None:
        """One commit of the database's writer."""
        self._commit_writes.seen(writes)
        self._commit_seconds.seen(seconds)

    def watch_waiting(self, waiting: Callable[[], int]) -> None:
        """Ask this how many writes wait for a commit, at each look."""
        self._writes_waiting.set_function(waiting)

    def journaled(self, kind: str) -> None:
        """One event of an attempt was kept; `kind` is that of the event."""
        if kind not in self._journaled:
            self._journaled[kind] = self._events.labels(kind)
        self._journaled[kind].inc()

    def dispatched(self, queue: str, kind: str, result: str, errands: int = 1) -> None:
        """Errands were done: `submit` or `cancel`, with `done`, `refused` or `unknown`."""
        key = (queue, kind, result)
        if key not in self._dispatched:
            self._dispatched[key] = self._errands.labels(*key)
        self._dispatched[key].inc(errands)

    def watch_queue(self, queue: str, waiting: Callable[[], int]) -> None:
        """Ask this how many attempts wait for a place in the backend, at each look."""
        self._waiting.labels(queue).set_function(waiting)

    def watch_slots(self, free: Callable[[], tuple[float, float]]) -> None:
        """Ask this for the free CPUs and GB of memory of this machine, at each look."""
        self._free_cpus.set_function(lambda: free()[0])
        self._free_ram.set_function(lambda: free()[1] * 1e9)

    def attempt_began(self) -> None:
        self._attempts_running.inc()

    def attempt_ended(self, state: str, seconds: float) -> None:
        """`state` is the one in which it left the task."""
        self._attempts_running.dec()
        self._attempts.labels(state).inc()
        self._attempt_seconds.observe(seconds)

    def runtime_answers(self, *, yes: bool) -> None:
        """Whether containers can be run now."""
        self.runtime_is_up = yes
        self._runtime_up.set(yes)

    def pulled(self, seconds: float) -> None:
        """One image was pulled."""
        self._pull_seconds.observe(seconds)

    def moved(self, direction: str, size_bytes: int) -> None:
        """One file was moved, `in` or `out`."""
        self._files.labels(direction).inc()
        self._file_bytes.labels(direction).inc(size_bytes)

    def told(self, sink: str, count: int) -> None:
        """So many messages are safe with a sink."""
        self._told.labels(sink).inc(count)

    def sink_behind(self, sink: str, events: int) -> None:
        """How many events it has not been told yet."""
        self._behind.labels(sink).set(events)

    def sink_failed(self, sink: str) -> None:
        """It could not be told, and is tried again."""
        self._sink_failures.labels(sink).inc()

    def sink_refused(self, sink: str, count: int = 1) -> None:
        """What it will never take, and was left out."""
        self._sink_refused.labels(sink).inc(count)

    def input_cached(self, result: str, size: int) -> None:
        """One input of so many bytes: a `hit`, which was there, or a `miss`, which was brought."""
        self._cached.labels(result).inc()
        self._cached_bytes.labels(result).inc(size)

    def printed(self, stream: Stream) -> None:
        """One piece of output was written down."""
        self._pieces += 1
        self._log_events.labels(stream.value).inc()

    @property
    def log_counts(self) -> LogCounts:
        return LogCounts(total_events=self._pieces)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"funnel_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"funnel_{name}", text, labels, registry=self._registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"funnel_{name}", text, labels, buckets=buckets, registry=self._registry)

    def _tally(self, name: str, text: str, *labels: str) -> Tally:
        made = Tally(f"funnel_{name}", text, *labels)
        self._registry.register(made)
        return made

    def _spread(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Spread:
        made = Spread(f"funnel_{name}", text, buckets, *labels)
        self._registry.register(made)
        return made

    def _requests(self) -> None:
        self._answers = self._tally(
            "http_requests", "HTTP requests answered.", "route", "method", "status"
        )
        self._answer_seconds = self._spread(
            "http_request_seconds", "Until the answer was sent.", _REQUEST_SECONDS, *_REQUEST_LABELS
        )
        self._called: dict[tuple[str, str], Counter] = {}
        self._calls = self._counter("grpc_calls", "gRPC calls that have ended.", "method", "code")
        self._call_took: dict[str, Histogram] = {}
        self._call_seconds = self._histogram(
            "grpc_call_seconds", "Until a call was answered.", _REQUEST_SECONDS, "method"
        )
        self._watchers = self._gauge("http_waiting", "Requests that wait for news of tasks.")
        self._workers = self._gauge("workers_connected", "Workers that are away, and connected.")

    def _tasks(self) -> None:
        self._task_states = self._gauge("tasks_state_count", "Tasks in each state.", "state")
        self._log_events = self._counter("logging_events", "Pieces of output written down.", "type")
        dropped = self._counter(
            "logging_events_dropped", "None: a worker waits until its output is taken.", "type"
        )
        for stream in Stream:
            self._log_events.labels(stream.value)
            dropped.labels(stream.value)
        self.counted({})

    def _nodes(self) -> None:
        self._node_states = self._gauge("nodes_state_count", "Nodes in each state.", "state")
        self._node_amounts = {
            f"{what}_{name}": self._gauge(f"nodes_{what}_{name}", f"Sum over all nodes, {what}.")
            for what in ("total", "available")
            for name in NODE_AMOUNTS
        }
        self.nodes({}, {})

    def _database(self) -> None:
        self._commit_writes = self._spread(
            "database_commit_writes", "Writes that shared a commit.", _COMMIT_WRITES
        )
        self._commit_seconds = self._spread(
            "database_commit_seconds", "Time of a commit, all its writes done.", _COMMIT_SECONDS
        )
        self._writes_waiting = self._gauge("database_writes_waiting", "Writes not yet committed.")
        self._journaled: dict[str, Counter] = {}
        self._events = self._counter("journal_events", "Events kept for attempts.", "kind")

    def _work(self) -> None:
        self._dispatched: dict[tuple[str, str, str], Counter] = {}
        self._errands = self._counter(
            "dispatch", "Errands done for a backend.", "queue", "kind", "result"
        )
        self._waiting = self._gauge("queue_waiting", "Attempts that wait for a place.", "queue")
        self._free_cpus = self._gauge("slots_free_cpus", "CPUs of this machine not held.")
        self._free_ram = self._gauge("slots_free_ram_bytes", "Memory of this machine not held.")
        self._attempts = self._counter("attempts", "Attempts that ended.", "state")
        self._attempts_running = self._gauge("attempts_running", "Attempts at work now.")
        self._attempt_seconds = self._histogram(
            "attempt_seconds", "From start to end of an attempt.", _ATTEMPT_SECONDS
        )
        self._runtime_up = self._gauge(
            "runtime_up", "Whether the container engine answers, 1 or 0."
        )
        self.runtime_is_up = False
        self._pull_seconds = self._histogram(
            "image_pull_seconds", "Time to pull an image.", _PULL_SECONDS
        )
        self._files = self._counter("files", "Files staged or published.", "direction")
        self._file_bytes = self._counter("file_bytes", "Bytes of those files.", "direction")

    def _inputs(self) -> None:
        self._cached = self._counter(
            "input_cache_files", "Inputs that were asked of the cache.", "result"
        )
        self._cached_bytes = self._counter("input_cache_bytes", "Bytes of those inputs.", "result")

    def _sinks(self) -> None:
        self._told = self._counter("sink_messages", "Messages that are safe with a sink.", "sink")
        self._behind = self._gauge("sink_lag_events", "Events that a sink has yet to hear.", "sink")
        self._sink_failures = self._counter(
            "sink_failures", "Times that a sink could not be told.", "sink"
        )
        self._sink_refused = self._counter(
            "sink_refused", "Messages left out, since a sink will never take them.", "sink"
        )
