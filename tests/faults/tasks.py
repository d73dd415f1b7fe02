"""Tasks whose containers witness their own beginning and end."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace
from rig import INPUT, Asked, Rig


def whole_life(rig: Rig, name: str) -> Asked:
    """Everything that a task may need: a stream from an input to an output, through two steps."""
    return _task(
        rig,
        name,
        [
            {"command": "cat", "stdin": "/in/text", "stdout": "/mid/text"},
            {"command": "cat /mid/text > /out/text", "workdir": "/somewhere"},
        ],
        {"/out/text": INPUT},
    )


def short(rig: Rig, name: str) -> Asked:
    return _task(rig, name, [{"command": "true"}], {})


def failing(rig: Rig, name: str) -> Asked:
    return _task(rig, name, [{"command": "false"}], {})


def sleeping(rig: Rig, name: str) -> Asked:
    """To be cancelled."""
    asked = _task(rig, name, [{"command": "sleep 600"}], {})
    return replace(asked, endless=True)


def polite(rig: Rig, name: str) -> Asked:
    """To be cancelled: it takes its leave."""
    stays = "trap 'echo bye; exit 0' TERM; echo here; while sleep 0.05; do :; done"
    return replace(_task(rig, name, [{"command": stays}], {}), endless=True)


def counting(rig: Rig, name: str, lines: int) -> Asked:
    """Prints numbers, a hundred a second."""
    count = f"for i in $(seq {lines}); do echo $i; sleep 0.01; done"
    text = "".join(f"{number}\n" for number in range(1, lines + 1))
    return _task(rig, name, [{"command": count, "stdout": "/out/lines"}], {"/out/lines": text})


def _task(
    rig: Rig, name: str, steps: Sequence[Mapping[str, str]], outputs: Mapping[str, str]
) -> Asked:
    files = {path: f"{name}.{path.rpartition('/')[2]}" for path in outputs}
    task = {
        "name": name,
        "executors": [
            {"image": "alpine", **step, "command": ["sh", "-c", _witnessed(name, number, step)]}
            for number, step in enumerate(steps)
        ],
        "inputs": [
            {"path": "/in", "url": f"file://{rig.inputs}", "type": "DIRECTORY"},
            {"path": "/witness", "url": f"file://{rig.witness}", "type": "DIRECTORY"},
        ],
        "outputs": [
            {"path": path, "url": f"file://{rig.files}/{file}"} for path, file in files.items()
        ],
    }
    return Asked(task=task, wanted={files[path]: text for path, text in outputs.items()})


def _witnessed(name: str, number: int, step: Mapping[str, str]) -> str:
    log = f">> /witness/{name}"
    return f"echo {number} start {log}; {step['command']} && echo {number} stop {log}"
