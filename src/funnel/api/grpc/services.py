"""Everything that is served over gRPC."""

from funnel.api.grpc.door import GrpcDoor, Service
from funnel.api.grpc.entrance import Entrance, Identify
from funnel.api.grpc.guard import Guard
from funnel.api.grpc.secure import credentials_of
from funnel.api.grpc.tasks import TaskServicer
from funnel.api.settings import Limits
from funnel.api.tls import Certificates
from funnel.core.info import ServiceInfo
from funnel.metrics import Metrics
from funnel.service.tasks import TaskService
from funnel.wire.gen.tes_pb2_grpc import add_TaskServiceServicer_to_server


def make_door(
    *,
    tasks: TaskService,
    identify: Identify,
    info: ServiceInfo,
    metrics: Metrics,
    limits: Limits,
    certificates: Certificates | None = None,
) -> GrpcDoor:
    """A service more is a line more here, and its methods' rows in `entrance`."""
    services = [
        Service(
            "tes.TaskService",
            add_TaskServiceServicer_to_server,
            TaskServicer(tasks, info, limits),
        ),
    ]
    guard = Guard(Entrance(identify), metrics, limits.answer_seconds)
    credentials = credentials_of(certificates) if certificates else None
    return GrpcDoor(services, guard, limits, credentials=credentials)
