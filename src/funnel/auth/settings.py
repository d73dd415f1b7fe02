"""What an administrator says about accounts."""

from datetime import timedelta

from msgspec import field

from funnel.core.secret import Secret
from funnel.core.value import Value


class BasicCredential(Value, kw_only=True, rename="pascal"):
    """A user with a password."""

    user: str = ""
    password: Secret = Secret("")
    """A hash as `funnel user hash` makes it; plain text is taken too, with a warning."""
    admin: bool = False
    """An administrator: may delete tasks, and see all where TaskAccess is OwnerOrAdmin."""


class OidcAuth(Value, kw_only=True):
    """
    An OpenID Connect provider, whose bearer tokens are taken.

    The user's name is the subject of the token.
    """

    service_config_url: str = field(default="", name="ServiceConfigURL")
    """Where the provider describes itself, .../.well-known/openid-configuration; empty: none."""
    client_id: str = field(default="", name="ClientId")
    """The name of this server at the provider."""
    client_secret: Secret = field(default=Secret(""), name="ClientSecret")
    """For the login of browsers, and to ask the provider about tokens that are no JWT."""
    redirect_url: str = field(default="", name="RedirectURL")
    """This server's /login as browsers reach it; empty: browsers cannot log in."""
    require_scope: str = field(default="", name="RequireScope")
    """Scopes that a token must have, separated by spaces."""
    require_audience: str = field(default="", name="RequireAudience")
    """The audience that a token must have; empty: the ClientId."""
    admins: tuple[str, ...] = field(default=(), name="Admins")
    """Subjects of administrators."""
    admin_claim: str = field(default="", name="AdminClaim")
    """CLAIM=VALUE, as in groups=admins: who has it, in text or a list, is an administrator."""
    algorithms: tuple[str, ...] = field(
        default=("RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "ES384", "ES512"),
        name="Algorithms",
    )
    """Signatures that are taken. Those with a shared key (HS256) never are."""
    leeway: timedelta = field(default=timedelta(seconds=30), name="Leeway")
    """By how much clocks may differ."""
    allow_http: bool = field(default=False, name="AllowHTTP")
    """Take a provider without TLS that is not on this machine: who is in between can be anybody."""


class ProxyAuth(Value, kw_only=True, rename="pascal"):
    """A reverse proxy that knows who is asking, and says so in a header."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks (10.0.0.0/8) of proxies; none: the header counts from nobody."""
    user_header: str = "X-Forwarded-User"
    """Who is asking. The proxy must overwrite what a client sends under this name."""
    admins: tuple[str, ...] = ()
    """Names of administrators."""
