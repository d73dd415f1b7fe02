"""OpenID Connect: where this identity starts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module

from funnel.auth.settings import OidcAuth
from funnel.plugins import Host, Plugin
from funnel.ports import Identity


@asynccontextmanager
async def make(settings: OidcAuth, host: Host) -> AsyncGenerator[Identity | None]:
    """None where the settings name no provider."""
    if not settings.service_config_url:
        yield None
        return
    # An HTTP client and all that checks signatures take long to load.
    async with import_module("funnel.auth.oidc.opened").opened(settings, host) as identity:
        yield identity


PLUGIN = Plugin("Server.OidcAuth", OidcAuth, make)
