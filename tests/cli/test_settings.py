from pathlib import Path

import pytest
import yaml
from calling import Call

from funnel.cli.settings import SettingsCommand
from funnel.config.known import root, sections
from funnel.config.shape import is_section

FLAGS = [
    *("Compute", "Database", "EventWriters", "Runtime", "Server.HostName", "Server.HTTPPort"),
    *("Server.RPCPort", "Server.ServiceName", "RPCClient.ServerAddress", "RPCClient.Timeout"),
    *("RPCClient.MaxRetries", "Worker.LogTailSize", "Worker.LogUpdateRate", "Worker.PollingRate"),
    *("Worker.WorkDir", "Worker.LeaveWorkDir", "LocalStorage.Disabled"),
    *("LocalStorage.AllowedDirs", "Logger.Level", "Logger.OutputFile", "Logger.Formatter"),
    *("SQLite.Path", "Local.Cpus", "Docker.Host"),
]


def test_there_is_a_flag_for_each_setting_of_the_reference_that_we_have() -> None:
    assert {flag.path for flag in SettingsCommand("x").flags} >= set(FLAGS)


def test_every_section_shows_up(call: Call) -> None:
    shown = yaml.safe_load(call("config", "show").out)
    names = {key.display for key in root(sections()).values() if not is_section(key.type)}
    assert set(shown) >= {*names, "Server", "Worker", "SQLite", "LocalStorage"}
    assert call("config", "show", "--output", "json").json == shown


def test_flags_and_variables_count(call: Call, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("Server: {HTTPPort: 1, ServiceName: Mine}\n")
    call.variable("FUNNEL__WORKER__LOG_UPDATE_RATE", "10ms")
    words = ("--server.httpport", "2", "--LocalStorage.AllowedDirs", "/a,/b", "--worker-workdir=/w")
    more = ("--LocalStorage.AllowedDirs", "/c", "--Worker.LeaveWorkDir", "--RPCClient.Timeout=10ms")
    shown = call("config", "show", "-c", "f.yaml", "--output", "json", *words, *more).json
    assert shown["Server"]["HTTPPort"] == 2
    assert shown["Server"]["ServiceName"] == "Mine"
    assert shown["LocalStorage"]["AllowedDirs"] == ["/a", "/b", "/c"]
    assert shown["Worker"]["LogUpdateRate"] == shown["RPCClient"]["Timeout"] == "10ms"
    assert (shown["Worker"]["WorkDir"], shown["Worker"]["LeaveWorkDir"]) == ("/w", True)


def test_what_is_shown_can_be_read_again(call: Call, tmp_path: Path) -> None:
    shown = call("config", "show", "--Worker.LogUpdateRate", "1h30m", "--Local.Cpus", "2.5").out
    (tmp_path / "shown.yaml").write_text(shown)
    assert call("config", "show", "--config", "shown.yaml").out == shown


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ("Server: {HTTPPort: 1}\n", 0, ""),
        ("BoltDB: {Path: x}\n", 0, "Warning: BoltDB is not supported yet and is ignored\n"),
        ("Sever: {}\n", 1, "Error: Sever is not a setting, did you mean Server? (f.yaml)\n"),
    ],
)
def test_a_file_is_checked(call: Call, tmp_path: Path, content: str, code: int, says: str) -> None:
    (tmp_path / "f.yaml").write_text(content)
    answer = call("config", "check", "f.yaml")
    assert (answer.code, answer.err) == (code, says)
    assert answer.out == ("" if code else "f.yaml is fine\n")


def test_flags_and_variables_are_checked_as_for_the_server(call: Call, tmp_path: Path) -> None:
    assert call("config", "check").out == "this is fine\n"
    wrong = ("--Server.HTTPPort", "eighty")
    assert call("config", "check", *wrong).err == call("server", "run", *wrong).err
    assert call("config", "check", "--Local.Cpus", "1", "--Local.DefaultCpus", "2").code == 1
    (tmp_path / "f.yaml").write_text("Server: {HTTPPort: eighty}\n")
    assert call("config", "check", "-c", "f.yaml").err == call("config", "check", "f.yaml").err
    (tmp_path / "g.yaml").write_text("Local: {Cpus: 1}\n")
    assert call("config", "check", "g.yaml", "--local.default-cpus=1").out == "g.yaml is fine\n"
    assert call("config", "check", "g.yaml", "--local.default-cpus=2").code == 1
    call.variable("FUNNEL__SERVER__HTTP_PORT", "ninety")
    assert "'ninety' (from the environment)" in call("config", "check").err


def test_one_file_is_checked_at_a_time(call: Call) -> None:
    answer = call("config", "check", "-c", "a.yaml", "b.yaml")
    assert (answer.code, "either FILE or --config" in answer.err) == (1, True)


def test_a_server_that_is_misconfigured_does_not_start(call: Call) -> None:
    answer = call("server", "run", "--Server.HTTPPort", "eighty")
    assert answer.err == "Error: Server.HTTPPort expected a whole number, not 'eighty'\n"
    assert call("server", "run", "-c", "none.yaml").err.startswith(
        "Error: cannot read the settings"
    )
