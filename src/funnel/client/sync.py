"""The client for programs that are not asynchronous."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from funnel.client.background import Background
from funnel.client.given import TIMEOUT
from funnel.client.http import AsyncClient

P = ParamSpec("P")
T = TypeVar("T")


def _done(
    call: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    """The same call, done when it returns."""

    def done(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.background.do(lambda: call(client.asynchronous, *args, **kwargs))

    update_wrapper(done, call)
    return done


def _told(
    call: Callable[Concatenate[AsyncClient, P], AsyncGenerator[T]],
) -> Callable[Concatenate["Client", P], Generator[T]]:
    """The same things, in an ordinary loop."""

    def told(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Generator[T]:
        return client.background.each(lambda: call(client.asynchronous, *args, **kwargs))

    update_wrapper(told, call)
    return told


class Client:
    """
    Talks to one TES server: `with Client("http://localhost:8000") as client`.

    It has the calls of `AsyncClient`, which see, and works in a thread of its own, so it may be
    used by several threads, and where an event loop runs, as in a notebook. Ctrl-C stops a call.
    A process that was forked needs a client of its own.
    """

    def __init__(
        self,
        server: str = "",
        *,
        user: str = "",
        password: str = "",
        token: str = "",
        ca_file: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self.asynchronous = AsyncClient(
            server, user=user, password=password, token=token, ca_file=ca_file, timeout=timeout
        )
        self.background = Background(self.asynchronous.close)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.asynchronous.server.shown}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ended: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up all connections, and stop what other threads still ask. Tasks are not touched."""
        self.background.close()

    create = _done(AsyncClient.create)
    run = _done(AsyncClient.run)
    get = _done(AsyncClient.get)
    list = _told(AsyncClient.list)
    pages = _told(AsyncClient.pages)
    wait = _done(AsyncClient.wait)
    logs = _told(AsyncClient.logs)
    events = _told(AsyncClient.events)
    cancel = _done(AsyncClient.cancel)
    delete = _done(AsyncClient.delete)
    service_info = _done(AsyncClient.service_info)
