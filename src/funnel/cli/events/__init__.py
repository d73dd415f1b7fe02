"""`funnel events`."""

from funnel.cli.lazy import Lazy, LazyGroup

events = LazyGroup(
    name="events",
    help="Hear what happens to tasks.",
    lazy={
        "follow": Lazy("funnel.cli.events.follow:follow", "Print events as they come."),
    },
)
