"""The sections of the settings file that belong to the program itself."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from funnel.auth.settings import BasicCredential, OidcAuth, ProxyAuth
from funnel.config.shape import display
from funnel.core.access import ForeignTask, TaskAccess
from funnel.core.reach import Reach, networks
from funnel.core.secret import Secret
from funnel.core.storageaccess import Rule, StorageRules, prefix_of
from funnel.core.value import Amount, Some, Value
from funnel.service.settings import Start

Port = Annotated[int, Meta(ge=0, le=65535)]


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    WARNING = "warning"
    ERROR = "error"


class Formatter(StrEnum):
    TEXT = "text"
    JSON = "json"


class Top(Value, kw_only=True, rename=display):
    """Which adapters are used, by name."""

    database: str = "sqlite"
    """Where tasks are kept."""
    compute: str = "local"
    """Where workers run: local is this machine, external leaves it to others to start them."""
    runtime: str = "docker"
    """What runs a container."""
    event_writers: tuple[str, ...] = ()
    """Who is told what happens to tasks: log, kafka, pubsub, nats, redis, amqp, webhook."""
    events_from: Start = Start.NOW
    """Where one that is new begins: now, or with the oldest events that are kept."""


class TLS(Value, kw_only=True, rename=display):
    """Certificates, in PEM. New ones are used as soon as the files have changed."""

    cert_file: str = ""
    """That of the server, with those between it and its root; empty: plain text is spoken."""
    key_file: str = ""
    """Its key, without a password."""
    client_ca_file: str = ""
    """Who comes to RPCPort must have a certificate by one of these."""


class Server(Value, kw_only=True, rename=display):
    """The server's doors."""

    service_name: str = "Funnel"
    """The name in service-info."""
    host_name: str = "localhost"
    """Where to listen. localhost: only this machine gets in; 0.0.0.0: everybody who reaches it."""
    http_port: Port = 8000
    """0 lets the system choose a free one."""
    rpc_port: Port = 9090
    """Where gRPC is spoken; 0 lets the system choose a free one."""
    open_access: bool = False
    """Let everybody who reaches the server use it: without accounts, on any address."""
    tls: TLS = TLS()
    plain_text: bool = False
    """Take passwords in plain text on any address: where a proxy in front of it speaks TLS."""
    max_connections: Some = 1000
    """Open at once; a new one takes the place of one that is idle, or is told to come again."""
    max_creates: Some = 256
    """Creates that are worked on at once; others wait a second, or are told to come again."""
    max_calls: Some = 1000
    """gRPC calls of users at once, streams included; others are told to come again."""
    max_message_size: Some = 4 * 1024 * 1024
    """Bytes of one gRPC message that a client may send."""
    max_call_rate: Amount = 0.0
    """Calls a second by one user, or one address where there are no accounts; 0: any number."""
    max_create_rate: Amount = 0.0
    """Of those, the ones that create a task. What ten seconds allow may come at once."""
    header_timeout: timedelta = timedelta(seconds=10)
    """For the headers of a request to arrive."""
    body_timeout: timedelta = timedelta(seconds=30)
    """For the body of a request to arrive."""
    idle_timeout: timedelta = timedelta(seconds=60)
    """Between an answer and the next request."""
    disable_http_cache: bool = True
    """Tell browsers and proxies not to keep answers."""
    token_key_file: str = ""
    """Keys that sign the tokens of workers and nodes, one a line; empty: beside the database."""
    task_access: TaskAccess = TaskAccess.ALL
    """Whose tasks a user may see, cancel and delete, once there are accounts."""
    foreign_task: ForeignTask = ForeignTask.NOT_FOUND
    """The answer about a task that the user may not see: as of one that is not there, or 403."""
    basic_auth: tuple[BasicCredential, ...] = ()
    """Users with passwords."""
    oidc_auth: OidcAuth = OidcAuth()
    proxy_auth: ProxyAuth = ProxyAuth()
    open_metrics: bool = False
    """Answer /metrics to everybody, though there are accounts."""
    task_retention: timedelta | None = None
    """How long tasks are kept after their end, such as 30d; disabled: for ever."""


class ClientTLS(Value, kw_only=True, rename=display):
    """What a worker believes and shows, in PEM."""

    ca_file: str = ""
    """Who issues the server's certificate; empty: those that every program believes."""
    cert_file: str = ""
    """The worker's own certificate, where the server has a ClientCAFile."""
    key_file: str = ""
    """Its key, without a password."""


class Credential(Value, kw_only=True, rename=display):
    """An administrator, for workers without a token."""

    user: str = ""
    password: Secret = Secret("")
    """As it is, not its hash."""
    admin: bool = False
    """Taken for the sake of old files: the server knows who is one."""


class RPCClient(Value, kw_only=True, rename=display):
    """How workers that are away from the server reach it."""

    server_address: str = ""
    """host:port, or https://host:port for TLS; empty: Server.HostName and Server.RPCPort."""
    tls: ClientTLS = ClientTLS()
    credential: Credential = Credential()
    timeout: timedelta | None = timedelta(seconds=60)
    """For one call; a negative one, or disabled, waits for ever."""
    max_retries: int = 10
    """Times that the server is looked for before it has answered once."""


class Logger(Value, kw_only=True, rename=display):
    """The program's own log."""

    level: Level = Level.INFO
    formatter: Formatter = Formatter.TEXT
    """text for people, json for machines: one object a line."""
    output_file: str = ""
    """Append to this file; empty: standard error."""


class Outbound(Value, kw_only=True, rename=display):
    """Where requests to URLs that users name may go: public addresses, if nothing else is said."""

    allowed_networks: tuple[str, ...] = ()
    """As in 10.0.0.0/8: beside public addresses. A metadata service is named by itself, as /32."""
    denied_networks: tuple[str, ...] = ()
    """Never, though they are public or allowed."""
    only_hosts: tuple[str, ...] = ()
    """As in *.example.org: no host of another name; empty: any."""
    denied_hosts: tuple[str, ...] = ()
    """No host of these names."""

    @property
    def reach(self) -> Reach:
        """Raises `Invalid`."""
        return Reach(
            allowed=networks(self.allowed_networks, "Outbound.AllowedNetworks"),
            denied=networks(self.denied_networks, "Outbound.DeniedNetworks"),
            only_hosts=self.only_hosts,
            denied_hosts=self.denied_hosts,
        )


class StorageRule(Value, kw_only=True, rename=display):
    """What some users may do."""

    users: tuple[str, ...] = ()
    """By their names; `*` is everybody."""
    read: tuple[str, ...] = ()
    """URLs below which inputs may be, as in s3://lab/ann/ or https://*.example.org/."""
    write: tuple[str, ...] = ()
    """URLs below which outputs may be stored."""

    @property
    def rule(self) -> Rule:
        """Raises `Invalid`."""
        read, write = (tuple(map(prefix_of, one)) for one in (self.read, self.write))
        return Rule(users=frozenset(self.users), read=read, write=write)


class StorageAccess(Value, kw_only=True, rename=display):
    """Which buckets, hosts and directories whose tasks may reach, of those that stores have."""

    rules: tuple[StorageRule, ...] = ()
    """None: tasks may name all that the stores have. Else what no rule allows is denied."""

    @property
    def known(self) -> StorageRules:
        """Raises `Invalid`."""
        return StorageRules(tuple(one.rule for one in self.rules))
