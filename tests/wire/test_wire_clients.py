"""Tasks as clients in the field post them."""

import json
from typing import Any

import pytest

from funnel.core.task import FileType
from funnel.core.validate import check
from funnel.wire.json import read_spec

PY_TES: dict[str, Any] = {
    "name": "md5",
    "executors": [{"image": "alpine", "command": ["md5sum", "/in"], "stdout": "/out"}],
    "inputs": [{"url": "file:///data/in", "path": "/in", "type": "FILE"}],
    "outputs": [{"url": "file:///data/out", "path": "/out", "type": "FILE"}],
    "resources": {"cpu_cores": 1, "ram_gb": 2.0, "preemptible": False},
    "tags": {"who": "me"},
}
PYDANTIC_TES: dict[str, Any] = {
    "id": None,
    "state": None,
    "name": "galaxy",
    "description": None,
    "inputs": None,
    "outputs": None,
    "resources": {
        "cpu_cores": 2,
        "preemptible": None,
        "ram_gb": None,
        "disk_gb": None,
        "zones": None,
        "backend_parameters": None,
        "backend_parameters_strict": None,
    },
    "executors": [
        {
            "image": "quay.io/galaxy/tool:1",
            "command": ["pulsar-submit"],
            "workdir": None,
            "stdin": None,
            "stdout": None,
            "stderr": None,
            "env": None,
            "ignore_error": None,
        }
    ],
    "volumes": ["/pulsar_staging"],
    "tags": None,
    "logs": None,
    "creation_time": None,
}
CROMWELL: dict[str, Any] = {
    "name": "wf.task",
    "description": "0b1c:wf.task:None:1",
    "inputs": [
        {
            "name": "commandScript",
            "description": "wf.task.commandScript",
            "url": None,
            "path": "/cromwell-executions/wf/script",
            "type": "FILE",
            "content": "#!/bin/bash",
        },
        {
            "name": "in",
            "description": "",
            "url": "/data/in",
            "content": None,
            "path": "/cromwell-executions/wf/in",
            "type": "FILE",
        },
    ],
    "outputs": [
        {
            "name": "rc",
            "description": "rc",
            "url": "/data/rc",
            "type": "FILE",
            "path": "/cromwell-executions/wf/rc",
        }
    ],
    "resources": {
        "cpu_cores": None,
        "ram_gb": 2.0,
        "disk_gb": None,
        "preemptible": True,
        "zones": None,
        "backend_parameters": {"internal_path_prefix": "/x", "workflow_execution_identity": None},
        "backend_parameters_strict": False,
    },
    "executors": [
        {
            "image": "ubuntu:22.04",
            "command": ["/bin/bash", "/cromwell-executions/wf/script"],
            "workdir": "/cromwell-executions/wf",
            "stdin": None,
            "env": {},
            "stdout": "/cromwell-executions/wf/stdout",
            "stderr": "/cromwell-executions/wf/e",
        }
    ],
    "volumes": None,
    "tags": {"workflow_id": "0b1c", "root_workflow_id": "0b1c", "parent_workflow_id": None},
    "logs": None,
}
NEXTFLOW: dict[str, Any] = {
    "name": "hello (1)",
    "executors": [
        {
            "image": "ubuntu",
            "command": [
                *("bash", "-o", "pipefail", "-c"),
                "bash /vol/.command.run 2>&1 | tee /vol/.command.log",
            ],
            "workdir": "/vol",
        }
    ],
    "inputs": [{"url": "/shared/ab/.command.sh", "path": "/vol/.command.sh"}],
    "outputs": [
        {"url": "/shared/ab/.exitcode", "path": "/vol/.exitcode"},
        {"url": "/shared/ab", "path": "/vol/*.txt", "path_prefix": "/vol"},
    ],
    "resources": {"cpu_cores": 1},
    "volumes": [],
    "tags": {},
}
SNAKEMAKE: dict[str, Any] = {
    "name": "snakejob.all.1.sh",
    "inputs": [
        {
            "name": "jobscript",
            "path": "/tmp/run_snakemake.sh",
            "type": "FILE",
            "content": "#!/bin/sh\n" + "x" * 100_000,
        }
    ],
    "executors": [
        {
            "image": "snakemake/snakemake:v9",
            "workdir": "/tmp",
            "command": ["/bin/bash", "/tmp/run_snakemake.sh"],
            "env": {"A": "b"},
        }
    ],
    "resources": {"cpu_cores": 1, "ram_gb": 1, "disk_gb": 1},
}
CWL_TES: dict[str, Any] = {
    "name": "md5",
    "executors": [
        {
            "image": "alpine",
            "command": ["md5sum"],
            "workdir": "/MmixJS",
            "stdin": "/var/lib/cwl/stg1/in",
            "stdout": "/MmixJS/md5",
            "env": {"HOME": "/MmixJS", "TMPDIR": "/tmp"},
        }
    ],
    "inputs": [{"url": "file:///data/in", "path": "/var/lib/cwl/stg1/in", "type": "FILE"}],
    "outputs": [
        {"url": "file:///out/md5", "path": "/MmixJS/md5", "type": "FILE"},
        {"url": "file:///out/", "path": "/MmixJS", "type": "DIRECTORY"},
    ],
    "resources": {"cpu_cores": 1, "ram_gb": 0.244140625},
    "tags": {"CWLDocumentId": "file:///wf.cwl"},
}


@pytest.mark.parametrize(
    "posted",
    [PY_TES, PYDANTIC_TES, CROMWELL, NEXTFLOW, SNAKEMAKE, CWL_TES],
    ids=["py-tes", "pydantic-tes", "cromwell", "nextflow", "snakemake", "cwl-tes"],
)
def test_what_clients_post_is_accepted(posted: dict[str, Any]) -> None:
    spec = read_spec(json.dumps(posted).encode())
    check(spec)
    assert spec.name == posted["name"]
    assert [list(one.command) for one in spec.executors] == [
        one["command"] for one in posted["executors"]
    ]


def test_cromwell_sends_null_tags_and_parameters() -> None:
    spec = read_spec(json.dumps(CROMWELL).encode())
    assert spec.tags == {"workflow_id": "0b1c", "root_workflow_id": "0b1c"}
    assert spec.resources.backend_parameters == {"internal_path_prefix": "/x"}
    assert spec.inputs[0].content == "#!/bin/bash"


def test_nextflow_sends_no_types() -> None:
    spec = read_spec(json.dumps(NEXTFLOW).encode())
    assert {one.type for one in (*spec.inputs, *spec.outputs)} == {FileType.FILE}
