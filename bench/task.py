"""The task that is made again and again: of a usual size, and nothing runs it."""

from collections.abc import Mapping
from typing import Any, Final

TASK: Final[Mapping[str, Any]] = {
    "name": "align sample",
    "description": "bwa mem, then sort",
    "inputs": [
        {"url": f"s3://bucket/run7/sample_{end}.fastq.gz", "path": f"/data/{end}.fastq.gz"}
        for end in ("R1", "R2", "index")
    ],
    "outputs": [{"url": "s3://bucket/out/sample.bam", "path": "/out/aln.bam"}],
    "resources": {"cpu_cores": 8, "ram_gb": 16.0, "disk_gb": 100.0},
    "executors": [
        {
            "image": "quay.io/biocontainers/bwa:0.7.17",
            "command": ["bwa", "mem", "-t", "8", "/ref/hg38.fa", "/data/R1.fastq.gz"],
            "stdout": "/out/aln.sam",
            "env": {"LC_ALL": "C", "THREADS": "8"},
        }
    ],
    "tags": {"workflow": "wgs-7", "sample": "s1", "lab": "lab-3"},
}
