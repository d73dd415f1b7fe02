"""Showing tokens."""

from funnel.core.access import Caller
from funnel.core.error import Unauthenticated
from funnel.ports import Credentials, Identity


async def shown(oidc: Identity, token: str) -> Caller | None:
    """Who it is who shows a bearer token."""
    return await oidc.identify(Credentials(headers={"authorization": f"Bearer {token}"}))


async def is_refused(oidc: Identity, token: str) -> bool:
    """With the one text that says nothing of the reason."""
    try:
        await shown(oidc, token)
    except Unauthenticated as error:
        return str(error) == "Bearer authorization token not accepted"
    return False
