"""Which thread runs a call: id 0 is the process's main thread, every other id has a thread of its own.

Guarantees:

- Calls of one thread id run in the order in which they were sent; calls of different ids run at once.
- A call is started at most once, whatever interrupts come, and gets exactly one answer.
- No call of a thread starts before its predecessor's answer has left or has been copied.
- A process that user code forked never answers: it ends when the user's function returns.

`Executor.deliver` is called by the thread whose turn it is to read, perhaps twice with the same request (see
`Channel.receive`). The repetition follows at once, so whatever takes from a queue drops it by its number.
"""

from __future__ import annotations

import _thread
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, List, Optional, Set, Tuple

from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import LocalProtocolError
from easycluster_server._io.channel import Channel
from easycluster_server._io.interrupts import Gate
from easycluster_server._io.transport import is_connection_error

from .job import Job
from .lazy import free_import_lock, load

if TYPE_CHECKING:
    from typing import Protocol, TypeVar  # novm

    Item = TypeVar("Item")

    from .calls import CallRunner

    class OtherThreads(Protocol):
        """The threads beside the main thread, as `threads` makes them."""

        def deliver(self, request: Message) -> None:
            """Run a call in its thread."""

        def stop(self, thread: int) -> None:
            """Let a thread end when the calls it has are done."""

        def find(self, number: int) -> Optional[Tuple[Message, Optional[Job]]]:
            """Return a call that has no answer yet, and the job of its thread, if that has begun."""
            ...


def copy_queue(queue: Deque[Item]) -> List[Item]:
    """Return what is in a queue, from which another thread may take meanwhile."""
    while True:
        try:
            return list(queue)
        except RuntimeError:  # another thread has changed it just now
            pass


class Executor:
    """The threads of one session and the calls that wait for them.

    Args:
        channel: takes the answers.
        give_up: called when an answer cannot be sent: it ends the session.

    Attributes:
        runner: unpacks calls and packs their answers; it is set before the first call is delivered.
        main: runs the calls of the main thread.
        main_queue: the calls that wait for the main thread; the first may be under way.
        jobs: all that run calls, each in its own thread.
        pid: the process that may answer.
    """

    runner: CallRunner

    def __init__(self, channel: Channel, give_up: Callable[[], None]) -> None:
        self.main = Job(self)
        self.jobs: Set[Job] = {self.main}
        self.main_queue: Deque[Message] = deque()
        self._finishing = threading.Lock()
        self.channel = channel
        self.give_up = give_up
        self._threads: Optional[OtherThreads] = None
        self.pid = os.getpid()

    def deliver(self, request: Message) -> None:
        """Put a call in the queue of its thread, which is started when there is none."""
        if request.thread == 0:
            self.main_queue.append(request)
        else:
            (self._threads or self._load_threads()).deliver(request)

    def _load_threads(self) -> OtherThreads:
        # Over ssh the module comes with the first call, and many sessions never need it.
        threads: OtherThreads = load("easycluster_server._serving.threads").CallThreads(self)
        self._threads = threads
        return threads

    def cancel(self, number: int) -> None:
        """Take a call out of its queue, or interrupt it. One that is over, or unknown, is left alone."""
        if "runner" in vars(self):
            load("easycluster_server._serving.cancelling").cancel(self, number)

    def find(self, number: int) -> Optional[Tuple[Message, Optional[Job]]]:
        """Return a call that has no answer yet, and the job of its thread, if that has begun."""
        for request in copy_queue(self.main_queue):
            if request.request == number:
                return request, self.main
        return self._threads.find(number) if self._threads is not None else None

    def is_running(self, number: int) -> bool:
        """Whether a thread is at this call."""
        return any(job.is_at(number) for job in tuple(self.jobs))

    def stop_thread(self, thread: int) -> None:
        """Let a thread end when the calls it has are done."""
        if self._threads is not None:
            self._threads.stop(thread)

    def release_objects(self, message: Message) -> None:
        """Take back the receipts for server objects that the client returns with a message."""
        if "runner" in vars(self):  # before the first call no object was named
            self.runner.objects.release(message)

    def post(self, answer: Message) -> None:
        """Send a small answer, or let the thread that is sending take it along."""
        try:
            self.channel.post(answer)
        except OSError as error:
            if not is_connection_error(error) and not isinstance(error, LocalProtocolError):
                raise
            self.give_up()

    def finish_main(self) -> None:
        """Finish the call of the main thread that an interrupt cut short outside the user's code.

        That happens in another thread, where no signal handler can come between again: handlers that come
        faster than an answer can be packed would otherwise keep it from ever being sent.
        """
        request = self.main_queue[0] if self.main_queue else None
        if request is None or not self.main.is_under_way(request):
            return
        free_import_lock()  # packing the answer may import, in another thread
        finished = Gate()
        # One C call, as `Thread.start` is not: an interrupt in the middle of that loses the thread.
        _thread.start_new_thread(self._finish, (request, finished))
        finished.wait()

    def _finish(self, request: Message, finished: Gate) -> None:
        try:
            # An interrupt of `finish_main` may start this twice; perhaps this is the second time.
            with self._finishing:
                if self.main.is_under_way(request):
                    self.main.serve_uninterrupted(request)
        finally:
            finished.open()
