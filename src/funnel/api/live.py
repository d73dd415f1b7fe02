"""Extensions of TES that save asking again and again: waiting, logs and events as they come."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from msgspec import json
from msgspec.structs import replace

from funnel.api.answer import Answer
from funnel.api.request import Request
from funnel.api.routes import Route, task_id_of
from funnel.api.stream import Stream, patiently
from funnel.api.watching import read_log, read_mark, read_wait, write_mark
from funnel.core.access import Operation
from funnel.core.error import Unavailable
from funnel.core.event import Event, Recorded
from funnel.core.output import Mark, Piece
from funnel.core.query import Scope, View
from funnel.core.state import State
from funnel.service import log
from funnel.service.hub import Hub
from funnel.service.tasks import TaskService
from funnel.service.tell import Source, Teller, Told

EVENTS: Final = "text/event-stream; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
AS_IT_IS: Final = ("X-Content-Type-Options", "nosniff")
UNBUFFERED: Final = ("X-Accel-Buffering", "no")
"""So that a proxy passes on what comes when it comes."""
RETRY: Final = b"retry: 1000\n\n"
"""Milliseconds after which a browser comes back."""
BEAT: Final = b": still here\n\n"


class LiveDoor:
    """Nothing here changes what TES specifies: other servers know neither paths nor parameters."""

    def __init__(self, tasks: TaskService, source: Source, hub: Hub) -> None:
        self._tasks = tasks
        self._source = source
        self._hub = hub
        self._teller = Teller(source, hub)

    def routes(self) -> Mapping[str, Route]:
        every = Route("/events", {"GET": self.all_events})
        events = Route("/tasks/{id}/events", {"GET": self.events})
        logs = Route("/tasks/{id}/logs", {"GET": self.logs})
        return {route.template: route for route in (every, events, logs)}

    async def wait(self, request: Request) -> None:
        """Return when there is nothing to wait for any more, whatever the reason."""
        wait = read_wait(request)
        until = self._teller.until(
            task_id_of(request), await self._scope(request), wait.states, wait.seconds
        )
        await patiently(request, until, seconds=wait.seconds)

    async def logs(self, request: Request) -> Answer:
        asked, task_id = read_log(request), task_id_of(request)
        attempt = await log.choose(
            self._source, task_id, await self._scope(request), asked.attempt, asked.executor
        )
        which = log.Which(
            task_id=task_id, attempt=attempt, executor=asked.executor, stream=asked.stream
        )
        texts = log.told(self._source, self._hub, which, follow=asked.follow)
        first = await anext(texts)
        answer = Stream(request, texts, _text, kind=TEXT)
        answer.add(*UNBUFFERED)
        answer.add(*AS_IT_IS)
        answer.add("Funnel-Log-Start", str(first.start))
        return answer

    async def events(self, request: Request) -> Answer:
        mark, resumed = read_mark(request)
        task_id = task_id_of(request)
        await self._source.get(task_id, View.MINIMAL, await self._scope(request))
        news = self._teller.of_task(task_id, mark)
        first = await anext(news, None)
        if resumed and first and isinstance(first.what, State):
            await news.aclose()
            return Answer(status=204, kind=EVENTS)
        return _stream(request, first, news)

    async def all_events(self, request: Request) -> Answer:
        scope = self._tasks.scope(request.caller, Operation.FOLLOW_TASKS)
        mark, resumed = read_mark(request)
        position = mark.position if resumed else await self._source.newest()
        news = self._teller.of_all(scope, position)
        return _stream(request, await anext(news, None), news)

    async def _scope(self, request: Request) -> Scope:
        task_id = task_id_of(request)
        return await self._tasks.scope_for(task_id, request.caller, Operation.FOLLOW_TASKS)


def _stream(request: Request, first: Told | None, news: AsyncGenerator[Told]) -> Answer:
    if first is None:
        raise Unavailable("the server stops; come again")
    answer = Stream(request, news, _frame, first=RETRY + _frame(first), kind=EVENTS)
    answer.add(*UNBUFFERED)
    return answer


def _text(one: log.Text) -> bytes:
    return one.text.encode()


def _frame(told: Told) -> bytes:
    """Something new, as a server-sent event."""
    match told.what:
        case None:
            return BEAT
        case State() as state:
            return b"event: end\ndata: %b\n\n" % json.encode({"state": state})
        case Recorded(event=event):
            return _event(told.mark, event)
        case Piece() as piece:
            return _event(told.mark, replace(piece, attempt=piece.attempt - 1))


def _event(mark: Mark, what: Event | Piece) -> bytes:
    fields = (write_mark(mark), what.__struct_config__.tag, json.encode(what).decode())
    return "id: {}\nevent: {}\ndata: {}\n\n".format(*fields).encode()
