"""`events.EventService`: for the reference's own writers of events."""

from grpc.aio import ServicerContext

from funnel.api.grpc.entrance import caller
from funnel.service.events import EventService
from funnel.wire.events import read_event
from funnel.wire.gen import events_pb2 as pb
from funnel.wire.gen.events_pb2_grpc import EventServiceServicer


class EventServicer(EventServiceServicer):
    def __init__(self, events: EventService) -> None:
        self._events = events

    async def WriteEvent(
        self, request: pb.Event, context: ServicerContext[pb.Event, pb.WriteEventResponse]
    ) -> pb.WriteEventResponse:
        del context
        await self._events.write(read_event(request), caller())
        return pb.WriteEventResponse()
