from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from funnel.cli.settings import SettingsCommand
from funnel.config import Config, load
from funnel.config.config import read
from funnel.config.file import from_text
from funnel.config.reading import Reader
from funnel.config.shape import Key, display, shape
from funnel.config.show import section_shown, show
from funnel.core.access import TaskAccess
from funnel.core.error import Invalid
from funnel.core.secret import Secret
from funnel.core.value import Value
from funnel.plugins import Host, Plugin, find
from funnel.storage.s3.plugin import GENERIC

HERE = Path(__file__).parent


def config(text: str) -> Config:
    return read([("funnel.yaml", from_text(text, where="funnel.yaml"))])


def refused(text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        config(text)
    return str(caught.value).splitlines()


def test_without_anything_the_defaults_count() -> None:
    found = load()
    assert (found.database, found.compute, found.runtime) == ("sqlite", "local", "docker")
    assert (found.server.host_name, found.server.http_port) == ("localhost", 8000)
    assert found.event_writers == ()
    assert found.warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "Server: {HTTPPort: 8001, HostName: '::'}",
        "server: {http_port: '8001', host-name: '::'}",
        "SERVER: {HTTP_PORT: 8001, HOSTNAME: '::'}",
    ],
)
def test_names_are_the_same_in_any_case_and_with_any_separator(text: str) -> None:
    found = config(text)
    assert (found.server.http_port, found.server.host_name) == (8001, "::")


def test_flags_win_over_variables_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "funnel.yaml"
    file.write_text("Server: {HTTPPort: 1, RPCPort: 1, ServiceName: file}\nWorker: {WorkDir: /w}\n")
    environ = {"FUNNEL__SERVER__HTTP_PORT": "2", "FUNNEL__SERVER__RPC_PORT": "2"}
    found = load(file, environ, {"Server.HTTPPort": "3"})
    server = found.server
    assert (server.http_port, server.rpc_port, server.service_name) == (3, 2, "file")
    assert found.worker.work_dir == "/w"


def test_a_file_replaces_defaults_even_by_less() -> None:
    found = config(
        "EventWriters: []\nServer: {DisableHTTPCache: false}\n"
        "Worker: {LogTailSize: 0, LogUpdateRate: 0s}\nLocalStorage: {AllowedDirs: [/data]}\n"
    )
    assert found.event_writers == ()
    assert found.server.disable_http_cache is False
    assert found.worker.log_tail_size == 0
    assert not found.worker.log_update_rate
    assert found.part(find("storage", "local")).allowed_dirs == ("/data",)


def test_nothing_after_a_name_leaves_the_default() -> None:
    assert config("Server:\nWorker: {LogTailSize: ~}\n") == load()


def test_all_mistakes_are_told_at_once_with_path_origin_and_nearest_name() -> None:
    text = "Servr: {}\nServer: {HTTPPrt: 1, RPCPort: x, HTTPPort: 70000}\nLogger: loud\n"
    assert refused(text) == [
        "Servr is not a setting, did you mean Server? (funnel.yaml)",
        "Server.HTTPPrt is not a setting, did you mean HTTPPort? (funnel.yaml)",
        "Server.RPCPort expected a whole number, not 'x' (funnel.yaml)",
        "Server.HTTPPort expected `int` <= 65535, not 70000 (funnel.yaml)",
        "Logger is a section: write its settings below it (funnel.yaml)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Worker: {MaxParallelTransfers: 0}",
        "Worker: {LogTailSize: -1}",
        "Worker: {DefaultRamGb: .nan}",
        "Worker: {LogUpdateRate: -5s}",
        "Local: {Cpus: -1}",
        "SQLite: {Readers: 0}",
    ],
)
def test_a_number_that_nothing_could_work_with_is_a_mistake(text: str) -> None:
    (line,) = refused(text)
    assert " expected " in line


def test_a_setting_by_two_names_is_a_mistake() -> None:
    (line,) = refused("Server: {HTTPPort: 1, http_port: 2}")
    assert line == "Server.HTTPPort is given twice, the second time as http_port (funnel.yaml)"


def test_a_misspelt_variable_is_a_mistake() -> None:
    with pytest.raises(Invalid, match=r"WRKER is not a setting, did you mean Worker\?.*environ"):
        load(environ={"FUNNEL__WRKER__X": "1"})


def test_an_unknown_adapter_is_told_with_those_there_are() -> None:
    (line,) = refused("Database: sqlight")
    assert line == "Database: 'sqlight' is not known, did you mean sqlite?; there is sqlite"


def test_the_file_of_another_funnel_is_read_without_error() -> None:
    found = load(HERE / "example.yaml")
    assert found.database == "sqlite"
    assert found.server.http_port == 8000
    assert len(found.warnings) == len(set(found.warnings))
    assert set(found.warnings) >= {
        "Database boltdb is not supported yet: sqlite is used instead",
        "EventWriters: boltdb is not supported yet and is ignored",
        "Worker.Container is not supported yet and is ignored",
        "Slurm is not supported yet and is ignored",
    }
    assert not any("OidcAuth" in warning for warning in found.warnings)


def test_what_is_not_supported_yet_is_named_once_where_it_says_something() -> None:
    found = config("BoltDB: {Path: x}\nKafka: {Topic: ''}\nWorker: {ScratchPath: /s}\n")
    assert found.warnings == (
        "BoltDB is not supported yet and is ignored",
        "Worker.ScratchPath is not supported yet and is ignored",
    )


def test_misspelt_names_are_mistakes_in_what_is_ignored_too() -> None:
    assert refused("Slurm: {Templat: x}\nKubernetes: {Tolerations: [{Effct: b}]}") == [
        "Slurm.Templat is not a setting, did you mean Template? (funnel.yaml)",
        "Kubernetes.Tolerations.Effct is not a setting, did you mean Effect? (funnel.yaml)",
    ]


def test_a_section_may_be_a_list_itself() -> None:
    found = config("GenericS3: [{Endpoint: 'http://a:1', Key: k, Secret: s}, {endpoint: b}]")
    entries = found.part(GENERIC).entries
    assert [(one.endpoint, one.secret.reveal()) for one in entries] == [
        ("http://a:1", "s"),
        ("b", ""),
    ]
    shown = show(found)["GenericS3"]
    assert [(one["Endpoint"], one["Secret"]) for one in shown] == [("http://a:1", "***"), ("b", "")]
    assert config("").part(GENERIC).entries == ()
    assert refused("GenericS3: [{Buckt: b}]") == [
        "GenericS3[0].Buckt is not a setting, did you mean Bucket? (funnel.yaml)"
    ]
    assert refused("GenericS3: {Bucket: b}") == [
        "GenericS3 expected a list of sections, as in [{Name: value}] (funnel.yaml)"
    ]


def test_users_are_a_list_of_sections_from_a_file_or_as_json() -> None:
    text = "Server: {BasicAuth: [{User: a, Password: b}, {user: c, password: 0, ADMIN: yes}]}"
    users = config(text).server.basic_auth
    assert [(one.user, one.password.reveal(), one.admin) for one in users] == [
        ("a", "b", False),
        ("c", "0", True),
    ]
    as_json = '[{"User": "a", "Password": "b"}, {"User": "c", "Password": 0, "Admin": true}]'
    assert load(environ={"FUNNEL__SERVER__BASIC_AUTH": as_json}).server.basic_auth == users


@pytest.mark.parametrize(
    "given", ["secret", "[secret]", '[{"User": "a", "Password": "secret"', '"secret"', "{}"]
)
def test_what_is_wrong_with_a_list_of_users_is_not_quoted(given: str) -> None:
    with pytest.raises(Invalid, match=r"Server\.BasicAuth expected a") as caught:
        load(environ={"FUNNEL__SERVER__BASIC_AUTH": given})
    assert "secret" not in str(caught.value)


def test_a_misspelt_name_in_a_list_is_told_with_its_place() -> None:
    assert refused("Server: {BasicAuth: [{User: a, Password: b}, {Usr: c}]}")[0] == (
        "Server.BasicAuth[1].Usr is not a setting, did you mean User? (funnel.yaml)"
    )


def test_users_are_shown_without_their_passwords_and_have_no_flag() -> None:
    found = show(config("Server: {BasicAuth: [{User: a, Password: b}]}"))
    assert found["Server"]["BasicAuth"] == [{"User": "a", "Password": "***", "Admin": False}]
    assert not [flag for flag in SettingsCommand("x").flags if "BasicAuth" in flag.path]


def test_access_without_accounts_is_warned_of() -> None:
    found = config("Server: {TaskAccess: owner}")
    assert found.server.task_access is TaskAccess.OWNER
    assert found.warnings == (
        "Server.TaskAccess is Owner, but there are no accounts: everybody is the same user",
    )


@pytest.mark.parametrize("name", ["postgres", "mongodb", "dynamodb"])
def test_a_database_elsewhere_is_not_quietly_replaced(name: str) -> None:
    (line,) = refused(f"Database: {name}")
    assert line == f"Database: '{name}' is not supported yet, use sqlite"


def test_a_backend_that_we_lack_is_not_quietly_replaced() -> None:
    (line,) = refused("Compute: Slurm")
    assert line.startswith("Compute: 'slurm' is not supported yet, use external or local")


def test_the_address_of_the_server_follows_its_host_and_port() -> None:
    assert config("Server: {HostName: h, RPCPort: 1}").rpc_client.server_address == "h:1"
    assert config("RPCClient: {ServerAddress: x:2}").rpc_client.server_address == "x:2"


def test_a_plugin_that_nobody_set_has_its_defaults() -> None:
    assert load().part(Plugin("Theirs", Theirs, theirs)) == Theirs()


class Theirs(Value):
    size: int = 3


@asynccontextmanager
async def theirs(settings: Theirs, _host: Host) -> AsyncGenerator[int]:
    yield settings.size


class Door(Value, kw_only=True, rename=display):
    user: str = ""
    password: Secret = Secret("")
    tokens: tuple[Secret, ...] = ()


def test_secrets_are_hidden_and_nothing_else() -> None:
    door = Door(user="ann", password=Secret("x"), tokens=(Secret("y"),))
    assert section_shown(door) == {"User": "ann", "Password": "***", "Tokens": ["***"]}
    assert section_shown(Door()) == {"User": "", "Password": "", "Tokens": []}
    assert door.password


def test_names_of_settings_are_distinct_whatever_their_case() -> None:
    reader = Reader("x")
    names = structs.fields(Door)
    assert len(shape(Door)) == len(names)
    found = reader.section({"PASS_WORD": "p"}, shape(Door), {})
    assert found == {"password": Secret("p")}
    assert not reader.problems
    assert isinstance(shape(Door)["user"], Key)
