"""The threads of a session beside the main thread, each with the queue of its calls."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Deque, Dict, Optional, Tuple

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.interrupts import FirstOf, Gate

from .job import Job

if TYPE_CHECKING:
    from .executor import Executor


class CallQueue:
    """The calls that wait for one thread, which alone takes from it.

    A signal handler that raises in the middle of `put` does no harm when the same call is put again. The
    queues of Python 3.6 and of PyPy would stay locked, or count one too few.
    """

    def __init__(self) -> None:
        self._items: Deque[Optional[Message]] = deque()
        self._gate = Gate()

    def put(self, item: Optional[Message]) -> None:
        """Add a call; None: the thread is to end."""
        self._items.append(item)
        self._gate.open()

    def get(self) -> Optional[Message]:
        """Wait for the next call, and take it."""
        while not self._items:
            self._gate.wait()
        return self._items.popleft()


class CallThread:
    """A thread that runs calls, and the calls that wait for it.

    Attributes:
        queue: the calls that wait.
        job: the job of the system thread that serves the queue, once there is one. An interrupt may come in
            the middle of starting that thread; then another is started, and the second to set its job leaves.
        has_started: whether that is over.
    """

    def __init__(self) -> None:
        self.queue = CallQueue()
        self.job = FirstOf()
        self.has_started = False


class CallThreads:
    """The threads of a session beside the main thread.

    Args:
        executor: the executor whose calls they run.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._by_id: Dict[int, CallThread] = {}
        #: The latest call that has a thread for itself alone, and that thread.
        self._single: Tuple[int, CallThread] = (0, CallThread())

    def deliver(self, request: Message) -> None:
        """Put a call in the queue of its thread, which is started when there is none."""
        number = request.thread
        if number == SINGLE_THREAD:
            if self._single[0] != request.request:
                self._single = (request.request, CallThread())
            thread = self._single[1]
            if self._start(thread, "single", request):
                thread.queue.put(request)
                thread.queue.put(None)
        else:
            thread = self._by_id.get(number) or self._by_id.setdefault(number, CallThread())
            if self._start(thread, str(number), request):
                thread.queue.put(request)
            else:
                del self._by_id[number]

    def _start(self, thread: CallThread, name: str, request: Message) -> bool:
        """Make sure that a system thread serves the queue, or answer that there can be none."""
        if thread.has_started:
            return True
        started = threading.Thread(target=self._run, args=(thread,), name=f"easycluster-{name}", daemon=True)
        try:
            started.start()
        except RuntimeError as error:  # the system has no more threads
            no_job: Optional[Job] = None
            if thread.job.set(no_job) is not no_job:  # a thread has started after all
                raise
            self._executor.post(self._executor.runner.pack_failure(request, error))
            return False
        thread.has_started = True
        return True

    def stop(self, thread: int) -> None:
        """Let a thread end when the calls it has are done.

        Args:
            thread: its id.
        """
        stopped = self._by_id.pop(thread, None)
        if stopped is not None:
            stopped.queue.put(None)

    def _run(self, thread: CallThread) -> None:
        job = Job(self._executor)
        if thread.job.set(job) is not job:
            return
        self._executor.jobs.add(job)
        while True:
            request = thread.queue.get()
            if request is None:
                self._executor.jobs.discard(job)
                return
            job.serve_uninterrupted(request)
