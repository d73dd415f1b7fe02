"""Everything that is served over gRPC."""

from collections.abc import Sequence

from funnel.api.grpc.door import GrpcDoor, Service
from funnel.api.grpc.entrance import Entrance, LetIn, caller
from funnel.api.grpc.events import EventServicer
from funnel.api.grpc.guard import Guard
from funnel.api.grpc.nodes import SchedulerServicer
from funnel.api.grpc.secure import credentials_of
from funnel.api.grpc.tasks import TaskServicer
from funnel.api.grpc.worker import WorkerServicer
from funnel.api.settings import Limits
from funnel.api.tls import Certificates
from funnel.core.info import ServiceInfo
from funnel.metrics import Metrics
from funnel.service.attendance import Attendance
from funnel.service.events import EventService, Known
from funnel.service.tasks import TaskService
from funnel.wire.gen.events_pb2_grpc import add_EventServiceServicer_to_server as add_events
from funnel.wire.gen.scheduler_pb2_grpc import add_SchedulerServiceServicer_to_server as add_nodes
from funnel.wire.gen.tes_pb2_grpc import add_TaskServiceServicer_to_server as add_tasks
from funnel.wire.gen.worker_pb2_grpc import add_WorkerServiceServicer_to_server as add_work


def make_services(
    tasks: TaskService,
    known: Known,
    attendance: Attendance,
    info: ServiceInfo,
    limits: Limits,
) -> list[Service]:
    """A service more is a line more here, and its methods' rows in `entrance`."""
    return [
        Service("tes.TaskService", add_tasks, TaskServicer(tasks, info, limits)),
        Service("events.EventService", add_events, EventServicer(EventService(known))),
        Service("scheduler.SchedulerService", add_nodes, SchedulerServicer()),
        Service("funnel.worker.v1.WorkerService", add_work, WorkerServicer(attendance, caller)),
    ]


def make_door(
    services: Sequence[Service],
    *,
    let_in: LetIn,
    metrics: Metrics,
    limits: Limits,
    certificates: Certificates | None = None,
) -> GrpcDoor:
    guard = Guard(Entrance(let_in), metrics, limits)
    credentials = credentials_of(certificates) if certificates else None
    return GrpcDoor(services, guard, limits, credentials=credentials)
