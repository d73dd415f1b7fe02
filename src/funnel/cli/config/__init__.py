"""`funnel config`."""

from funnel.cli.lazy import Lazy, LazyGroup

config = LazyGroup(
    name="config",
    help="Show and check settings.",
    lazy={
        "show": Lazy("funnel.cli.config.show:show_settings", "Print the settings that count."),
        "check": Lazy("funnel.cli.config.check:check", "Say what is wrong with the settings."),
    },
)
