"""Docker, or Podman by Docker's API: where this runtime starts."""

from contextlib import AbstractAsyncContextManager
from importlib import import_module

from funnel.plugins import Host, Plugin
from funnel.ports import Runtime
from funnel.runtime.settings import Settings


def make(settings: Settings, host: Host) -> AbstractAsyncContextManager[Runtime]:
    # The HTTP client takes long to load, and who only checks settings does not need it.
    containers = import_module("funnel.runtime.containers")
    runtime: AbstractAsyncContextManager[Runtime] = containers.opened(settings, host)
    return runtime


PLUGIN = Plugin("Docker", Settings, make)
