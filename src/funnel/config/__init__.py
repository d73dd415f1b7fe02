"""Settings from a YAML file, the environment and flags: strict about names, kind about mistakes."""

from funnel.config.config import Config, load
from funnel.config.files import files_of
from funnel.config.sections import Formatter, Level, Logger, RPCClient, Server
from funnel.config.show import show

__all__ = [
    "Config",
    "Formatter",
    "Level",
    "Logger",
    "RPCClient",
    "Server",
    "files_of",
    "load",
    "show",
]
