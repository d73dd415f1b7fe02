"""`funnel worker`."""

from funnel.cli.lazy import Lazy, LazyGroup

worker = LazyGroup(
    name="worker",
    help="Run one task here, of a server or without one.",
    lazy={
        "run": Lazy("funnel.cli.worker.run:run", "Run one task and print what it prints."),
        "token": Lazy(
            "funnel.cli.worker.token:worker_token", "Print a token for the worker of one attempt."
        ),
    },
)
