"""Settings of the Go Funnel that we know and do not support yet: accepted, with a warning."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from funnel.config.shape import plain

Names: TypeAlias = "Mapping[str, Names | None]"
"""Settings by name, and those below; None for one that may hold anything."""


def lookup(names: Names, name: str) -> str | None:
    """How a setting is written among `names`, if it is there."""
    return next((one for one in names if plain(one) == plain(name)), None)


def below(names: Names, name: str) -> Names:
    """What is below a setting; nothing, for one that is not there."""
    found = lookup(names, name)
    return (names[found] if found else None) or _names()


def _names(*lines: str, **inner: Names) -> Names:
    names = {name: None for line in lines for name in line.split()}
    return {**names, **inner}


AWS: Final = _names("Endpoint Region MaxRetries Key Secret DisableAutoCredentialLoad")
CREDENTIAL: Final = _names("User Password Admin")
QUANTITIES: Final = _names("Cpus RamGb DiskGb")
BATCH: Final = _names("DisableReconciler ReconcileRate Template TemplateFile")

NOT_YET: Final[Names] = _names(
    BoltDB=_names("Path"),
    Badger=_names("Path"),
    DynamoDB=_names("TableBasename", AWSConfig=AWS),
    Elastic=_names("IndexPrefix URL Username Password CloudID APIKey ServiceToken"),
    MongoDB=_names("Addrs Database Timeout Username Password"),
    Postgres=_names("Host Database User Password AdminUser AdminPassword Timeout"),
    Datastore=_names("Project CredentialsFile"),
    HTCondor=BATCH,
    Slurm=BATCH,
    PBS=BATCH,
    GridEngine=_names("Template TemplateFile"),
    AWSBatch=_names("JobDefinition JobQueue DisableReconciler ReconcileRate", AWSConfig=AWS),
    GCPBatch=_names("Location GoogleStorage Project DisableReconciler ReconcileRate GCPBatch"),
    Kubernetes=_names(
        "Executor WorkerTemplate ExecutorTemplate PVTemplate PVCTemplate ConfigMapTemplate",
        "Namespace JobsNamespace ServiceAccount ServiceAccountTemplate RoleTemplate",
        "RoleBindingTemplate DisableReconciler ReconcileRate DisableJobCleanup NodeSelector",
        "Timeout",
        Tolerations=_names("Key Operator Value Effect TolerationSeconds"),
        Resources=_names(Defaults=QUANTITIES, Limits=QUANTITIES),
    ),
    LocalStorage=_names("Disabled"),
    Plugins=_names("Path Params"),
    Scheduler=_names("ScheduleRate ScheduleChunk NodePingTimeout NodeInitTimeout NodeDeadTimeout"),
    Node=_names("ID Timeout UpdateRate Metadata", Resources=QUANTITIES),
    Logger=_names(
        JsonFormat=_names("DisableTimestamp TimestampFormat"),
        TextFormat=_names(
            "ForceColors DisableColors DisableTimestamp FullTimestamp TimestampFormat",
            "DisableSorting Indent",
        ),
    ),
    Worker=_names(
        "ScratchPath PollingRate DriverCommand LeaveWorkDir MaxParallelTransfers",
        Container=_names(
            "Id Image Name Command Workdir RemoveContainer Env DriverCommand RunCommand",
            "PullCommand StopCommand EnableTags Tags",
        ),
    ),
)

EMBEDDED: Final = frozenset({"boltdb", "badger"})
"""Databases in a file of the server; ours takes their place."""

DATABASES: Final = EMBEDDED | {"dynamodb", "datastore", "elastic", "mongodb", "postgres"}

BACKENDS: Final = frozenset(
    {
        *("manual", "aws-batch", "aws", "amazon", "gcp-batch", "gcp", "google", "gridengine"),
        *("htcondor", "kubernetes", "k8s", "pbs", "slurm"),
    }
)
