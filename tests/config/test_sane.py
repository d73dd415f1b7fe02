"""Settings that are unsafe or contradict each other are refused, with a name and a way out."""

import pytest

from funnel.config.config import read
from funnel.config.file import from_text
from funnel.core.error import Invalid

COSTLY = "$argon2id$v=19$m=4194304,t=1,p=1$UUSZvy0ejB5EgjxuLQyf0A$c29tZXRoaW5n"
HTTPS = "https://id.example/x"
REFUSED = {
    "Server: {HTTPPort: 65536}": r"Server\.HTTPPort",
    "Server: {HTTPPort: -1}": r"Server\.HTTPPort",
    "Server: {MaxConnections: 0}": r"Server\.MaxConnections",
    "Server: {MaxCreates: 0}": r"Server\.MaxCreates",
    "Server: {HeaderTimeout: 0s}": r"Server\.HeaderTimeout must be longer",
    "Server: {BodyTimeout: 0s}": r"Server\.BodyTimeout must be longer",
    "Server: {IdleTimeout: 0s}": r"Server\.IdleTimeout must be longer",
    "Server: {IdleTimeout: -1s}": r"Server\.IdleTimeout",
    "Server: {TLS: {CertFile: a}}": r"Server\.TLS\.KeyFile is missing",
    "Server: {TLS: {KeyFile: a}}": r"Server\.TLS\.CertFile is missing",
    "Server: {TLS: {ClientCAFile: a}}": r"Server\.TLS\.CertFile is missing",
    "Redis: {URL: 'redis://:x@redis.example'}": r"Redis\.URL has a password in it",
    "NATS: {Servers: ['nats://a', 'NATS://b:c@d']}": r"NATS\.Servers has a password in it",
    "Redis: {URL: 'redis://b:c/d@redis.example'}": r"Redis\.URL has a password in it",
    "RPCClient: {TLS: {CertFile: a}}": r"RPCClient\.TLS\.KeyFile is missing",
    "RPCClient: {TLS: {KeyFile: a}}": r"RPCClient\.TLS\.CertFile is missing",
    "Database: oracle": "Database: 'oracle' is not known",
    "Compute: lokal": "Compute: 'lokal' is not known, did you mean local",
    "Compute: slurm": "Compute: 'slurm' is not supported yet",
    "Runtime: dokcer": "Runtime: 'dokcer' is not known, did you mean docker",
    "EventWriters: [lgo]": "EventWriters: 'lgo' is not known",
    "Worker: {WorkDir: ''}": r"Worker\.WorkDir is empty: name a place",
    "Worker: {WorkDir: /}": r"Worker\.WorkDir is /: name a directory",
    "Worker: {LogTailSize: -1}": r"Worker\.LogTailSize",
    "Worker: {StopGrace: -10s}": r"Worker\.StopGrace",
    "Worker: {MaxParallelTransfers: 0}": r"Worker\.MaxParallelTransfers",
    "SQLite: {Path: ''}": r"SQLite\.Path is empty: name a place",
    "SQLite: {Readers: 0}": r"SQLite\.Readers",
    "{SQLite: {Path: /d/db}, Logger: {OutputFile: /d/./db}}": r"OutputFile is the database",
    "LocalStorage: {AllowedDirs: ['']}": r"LocalStorage\.AllowedDirs has an empty name",
    "LocalStorage: {SharedDirs: ['']}": r"LocalStorage\.SharedDirs has an empty name",
    "LocalStorage: {SharedDirs: [/]}": r"LocalStorage\.SharedDirs / holds Worker\.WorkDir",
    "{LocalStorage: {SharedDirs: [/d]}, SQLite: {Path: /d/x/db}}": r"/d holds SQLite\.Path",
    "{LocalStorage: {SharedDirs: [/d]}, Worker: {WorkDir: /d}}": r"/d holds Worker\.WorkDir",
    "{LocalStorage: {SharedDirs: [/d]}, Logger: {OutputFile: /d/log}}": r"/d holds Logger\.Out",
    "{LocalStorage: {SharedDirs: [/d]}, Server: {TLS: {CertFile: /c, KeyFile: /d/k}}}": "KeyFile",
    "{LocalStorage: {SharedDirs: [/d]}, Server: {TokenKeyFile: /d/k}}": "TokenKeyFile",
    "Local: {Cpus: 2, DefaultCpus: 3}": r"Local\.DefaultCpus is more than Local\.Cpus",
    "Local: {RamGb: 2, DefaultRamGb: 3}": r"Local\.DefaultRamGb is more than Local\.RamGb",
    "Local: {Cpus: -1}": r"Local\.Cpus",
    "Docker: {Host: here}": r"Docker\.Host is 'here', .*give unix:///path",
    "Docker: {Profile: strict, User: root}": r"Docker\.User 'root' is root",
    "Docker: {Profile: strict, User: '0:0'}": r"Docker\.User '0:0' is root",
    "Docker: {Profile: strict, Network: host}": r"Docker\.Network is 'host', but .*'strict'",
    "Docker: {Profile: none}": r"Docker\.Profile expected one of",
    "Docker: {PidsLimit: 0}": r"Docker\.PidsLimit is 0",
    "Docker: {Timeout: 0s}": r"Docker\.Timeout and",
    "Server: {BasicAuth: [{Password: x}]}": r"Server\.BasicAuth\[0\]\.User is empty",
    "Server: {BasicAuth: [{User: 'a:b', Password: x}]}": r"BasicAuth\[0\]\.User has a colon",
    "Server: {BasicAuth: [{User: a}]}": r"BasicAuth\[0\]\.Password is empty",
    "Server: {BasicAuth: [{User: a, Password: $2b$10$abc}]}": r"Password is a hash of another kind",
    "Server: {BasicAuth: [{User: a, Password: $argon2id$v=19$m=1}]}": r"Password is cut off",
    f"Server: {{BasicAuth: [{{User: a, Password: '{COSTLY}'}}]}}": r"Password takes 4194304 KiB",
    "Server: {OidcAuth: {ClientId: funnel}}": r"OidcAuth\.ServiceConfigURL is missing",
    "Server: {OidcAuth: {Admins: [a]}}": r"OidcAuth\.ServiceConfigURL is missing",
    **{
        f"Server: {{OidcAuth: {{ServiceConfigURL: {url}, ClientId: f{more}}}}}": wrong
        for url, more, wrong in (
            ("here", "", "ServiceConfigURL is 'here', which is no"),
            ("'http://[::1'", "", "ServiceConfigURL is"),
            ("ftp://a.example/x", "", "ServiceConfigURL is"),
            ("http://a.example/x", "", "ServiceConfigURL has no TLS"),
            (HTTPS, ", RedirectURL: 'https://f.example/log'", "RedirectURL must end with /login"),
            (HTTPS, ", RedirectURL: /login", "RedirectURL is '/login'"),
            (HTTPS, ", RedirectURL: 'https://f.example/login'", "ClientSecret is missing"),
            (HTTPS, ", Algorithms: [HS256]", "Algorithms has 'HS256'"),
            (HTTPS, ", Algorithms: [none]", "Algorithms has 'none'"),
            (HTTPS, ", Algorithms: []", "Algorithms is empty"),
            (HTTPS, ", AdminClaim: groups", "AdminClaim is not CLAIM=VALUE"),
            (HTTPS, ", AdminClaim: '=x'", "AdminClaim is not CLAIM=VALUE"),
        )
    },
    f"Server: {{OidcAuth: {{ServiceConfigURL: {HTTPS}}}}}": r"OidcAuth\.ClientId is missing",
    "Server: {ProxyAuth: {TrustedProxies: [proxy]}}": r"TrustedProxies 'proxy' does not",
    "Server: {ProxyAuth: {TrustedProxies: [10.0.0.1/8]}}": r"TrustedProxies .* has host bits",
    "Server: {ProxyAuth: {TrustedProxies: [0.0.0.0/0]}}": r"TrustedProxies .* trusts everybody",
    "Server: {ProxyAuth: {TrustedProxies: ['::/0']}}": r"TrustedProxies .* trusts everybody",
    "Server: {ProxyAuth: {UserHeader: 'X User'}}": r"UserHeader 'X User' is no header",
    "Server: {ProxyAuth: {UserHeader: cookie}}": r"UserHeader clients send that",
    "Server: {ProxyAuth: {Admins: [a]}}": r"TrustedProxies is empty",
    "Server: {BasicAuth: [{User: a, Password: x}, {User: a, Password: y}]}": r"2 users named 'a'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_unsafe_or_contradictory_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=REFUSED[text]):
        read([("", from_text(text, where="funnel.yaml"))])


@pytest.mark.parametrize(
    "text",
    [
        "ServiceConfigURL: http://127.0.0.1:1/x, ClientId: f",
        "ServiceConfigURL: 'http://[::1]:1/x', ClientId: f",
        "ServiceConfigURL: http://localhost/x, ClientId: f",
        "ServiceConfigURL: http://id.example/x, ClientId: f, AllowHTTP: true",
        f"ServiceConfigURL: {HTTPS}, ClientId: f, AdminClaim: 'https://a/groups=x=y'",
        f"ServiceConfigURL: {HTTPS}, ClientId: f, ClientSecret: s, RedirectURL: http://f/a/login",
    ],
)
def test_a_provider_on_this_machine_or_by_tls_is_fine(text: str) -> None:
    read([("", from_text(f"Server: {{OidcAuth: {{{text}}}}}", where="funnel.yaml"))])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Server: {RPCPort: 1}", "localhost:1"),
        ("Server: {RPCPort: 1, TLS: {CertFile: a, KeyFile: b}}", "https://localhost:1"),
        ("RPCClient: {ServerAddress: 'tes.example:9090'}", "tes.example:9090"),
    ],
)
def test_workers_speak_tls_to_a_server_that_does(text: str, address: str) -> None:
    config = read([("", from_text(text, where="funnel.yaml"))])
    assert config.rpc_client.server_address == address
