"""`scheduler.SchedulerService`, as far as there are nodes: it can be asked, and knows of none."""

from typing import Any, Final, TypeAlias

import grpc
from grpc.aio import ServicerContext

from funnel.core.error import NotFound
from funnel.wire.gen import scheduler_pb2 as pb
from funnel.wire.gen.scheduler_pb2_grpc import SchedulerServiceServicer

Context: TypeAlias = ServicerContext[Any, Any]

NO_NODES: Final = "this server has no nodes: its backend runs tasks without them"


class SchedulerServicer(SchedulerServiceServicer):
    async def ListNodes(
        self, request: pb.ListNodesRequest, context: Context
    ) -> pb.ListNodesResponse:
        del request, context
        return pb.ListNodesResponse()

    async def GetNode(self, request: pb.GetNodeRequest, context: Context) -> pb.Node:
        del context
        raise NotFound(f"no node {request.id}")

    async def PutNode(self, request: pb.Node, context: Context) -> pb.PutNodeResponse:
        del request
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, NO_NODES)

    async def DeleteNode(self, request: pb.Node, context: Context) -> pb.DeleteNodeResponse:
        del request
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, NO_NODES)
