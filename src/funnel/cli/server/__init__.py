"""`funnel server`."""

from funnel.cli.lazy import Lazy, LazyGroup

server = LazyGroup(
    name="server",
    help="Run the server.",
    lazy={"run": Lazy("funnel.cli.server.run:run", "Serve TES until SIGTERM or Ctrl-C.")},
)
