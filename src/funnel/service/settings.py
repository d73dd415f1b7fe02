"""What the settings say of tasks once they are here."""

from datetime import timedelta
from enum import StrEnum

from funnel.core.lease import Terms
from funnel.core.value import Amount, Count, Some, Value
from funnel.service.budget import CONNECTIONS, MEMORY
from funnel.service.output import Pace


class WorkerSettings(Value, kw_only=True, rename="pascal"):
    """How attempts are worked on."""

    work_dir: str = "funnel-work-dir"
    """Where attempts have their files."""
    leave_work_dir: bool = False
    """Keep those files when an attempt has ended, to look into them."""
    log_update_rate: timedelta = timedelta(seconds=5)
    """How often what a container prints is kept for readers; 0 is once, at its end."""
    log_tail_size: Count = 10_000
    """How many bytes of each stream are kept for readers; 0 is none."""
    max_parallel_transfers: Some = 10
    """Files of one task that are brought or stored at once."""
    max_connections: Some = CONNECTIONS
    """To stores, of all tasks of this process; each task has its fair share."""
    transfer_memory: Some = MEMORY
    """Bytes that all transfers of this process hold together, whatever the size of the files."""
    input_cache: str = ""
    """A directory for inputs that several tasks of this machine want; empty: none is kept."""
    input_cache_size: Some = 10 << 30
    """Bytes of it at most; what was used longest ago goes first."""
    polling_rate: timedelta = timedelta(seconds=5)
    """Taken for the sake of old files; a cancel needs no polling."""
    strict_outputs: bool = False
    """An output that is missing after success fails the task; otherwise it is a warning."""
    copy_inputs: bool = False
    """Copy local inputs rather than mount them where they are."""
    stop_grace: timedelta = timedelta(seconds=10)
    """Between asking a container to stop and killing it."""
    restart_grace: timedelta = timedelta(seconds=30)
    """Containers of a `funnel worker run --taskID` that was killed wait so long for another one."""
    default_cpu_cores: Count = 1
    """The limit of a container whose task asks for no CPUs."""
    default_ram_gb: Amount = 0.0
    """The limit, in 10^9 bytes, of a container whose task asks for no memory; 0 is none."""

    @property
    def pace(self) -> Pace:
        return Pace(keep=self.log_tail_size, every=self.log_update_rate.total_seconds())


class RemoteSettings(Value, kw_only=True, rename="pascal"):
    """Workers that are away from the server."""

    lease: timedelta = timedelta(seconds=30)
    """An attempt is its worker's for so long after the worker was heard of."""
    reconnect_grace: timedelta = timedelta(minutes=15)
    """Containers run on for so long without their server, where they must not be started again."""

    @property
    def terms(self) -> Terms:
        return Terms(lease=self.lease.total_seconds(), grace=self.reconnect_grace.total_seconds())


class Start(StrEnum):
    """Where a sink begins that is new: with what is still to come, or with all there is."""

    NOW = "now"
    BEGINNING = "beginning"
