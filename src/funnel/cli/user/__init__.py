"""`funnel user`."""

from funnel.cli.lazy import Lazy, LazyGroup

user = LazyGroup(
    name="user",
    help="Make what the settings file has of users.",
    lazy={"hash": Lazy("funnel.cli.user.hash:hash_password", "Print the hash of a password.")},
)
