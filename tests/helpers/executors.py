"""An executor whose calls are functions in the requests themselves, and whose answers go nowhere."""

from __future__ import annotations

from typing import Any

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._objects.table import ObjectTable
from easycluster_server._serving.calls import CallRunner
from easycluster_server._serving.executor import Executor


class FakeRunner(CallRunner):
    """Runs functions that stand in the requests themselves."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.table = ObjectTable()

    @property
    def objects(self) -> ObjectTable:
        return self.table

    def unpack(self, request: Message) -> tuple[Any, str, Any, Any]:
        self.started.append(request.request)
        return request.body, "name", (), {}

    def pack_failure(self, request: Message, error: Any) -> Message:
        return Message(m.FAILURE, request.request, error)

    def pack_result(self, request: Message, name: str, value: Any) -> Message:
        return Message(m.RESULT, request.request, value)


class FakeChannel:
    """Takes the answers."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.errors: list[BaseException] = []

    def send(self, message: Message) -> None:
        if self.errors:
            raise self.errors.pop()
        self.sent.append(message)

    post = send

    def bodies(self) -> list[Any]:
        """What was answered."""
        return [message.body for message in self.sent]


class Parts:
    """An executor and what it is made of."""

    def __init__(self) -> None:
        self.runner = FakeRunner()
        self.channel = FakeChannel()
        self.lost: list[bool] = []
        self.executor = Executor(self.channel, lambda: self.lost.append(True))  # type: ignore[arg-type]
        self.executor.runner = self.runner

    def end_threads(self) -> None:
        """Let the threads beside the main thread end, when their calls are done."""
        end_threads(self.executor)


def end_threads(executor: Executor) -> None:
    """Let the threads of an executor beside the main thread end, when their calls are done."""
    threads: Any = executor._threads
    for number in list(threads._by_id) if threads is not None else ():
        executor.stop_thread(number)


def request(number: int, function: Any, thread: int = 0) -> Message:
    """A request for a call."""
    return Message(m.CALL, number, function, thread)
