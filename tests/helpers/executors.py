"""An executor whose calls are functions in the requests themselves, and whose answers are collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._objects.table import ObjectTable
from easycluster_server._serving.calls import CallRunner
from easycluster_server._serving.executor import Executor


class FakeRunner(CallRunner):
    """Runs functions that stand in the requests themselves.

    Attributes:
        started: the numbers of the calls that were unpacked.
        table: the server objects.
        references: the numbers of the objects that results name from now on.
    """

    def __init__(self) -> None:
        self.started: list[int] = []
        self.table = ObjectTable()
        self.references: list[int] = []

    @property
    def objects(self) -> ObjectTable:
        return self.table

    def unpack(self, request: Message) -> tuple[Any, str, Any, Any]:
        self.started.append(request.request)
        return request.body, "name", (), {}

    def pack_failure(self, request: Message, error: Any) -> Message:
        return Message(m.FAILURE, request.request, error)

    def pack_result(self, request: Message, name: str, value: Any) -> Message:
        return Message(m.RESULT, request.request, value, references=self.references)


class FakeChannel:
    """Takes the answers.

    Attributes:
        sent: the answers.
        errors: raised instead of sending, from the last to the first.
        on_send: called with each answer.
    """

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.errors: list[BaseException] = []
        self.on_send: Callable[[Message], object] = lambda message: None

    def send(self, message: Message) -> None:
        self.on_send(message)
        if self.errors:
            raise self.errors.pop()
        self.sent.append(message)

    post = send

    def bodies(self) -> list[Any]:
        """The values and exceptions that were sent."""
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
