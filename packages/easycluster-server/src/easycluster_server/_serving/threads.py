"""The threads of a session beside the main thread: each has a lane, where its calls wait."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Deque, Dict, Optional, Tuple

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.interrupts import FirstOf, Gate

from .executor import Job

if TYPE_CHECKING:
    from .executor import Executor


class Queue:
    """What waits for one thread, which alone takes from it.

    A signal handler that raises in the middle of `put` does no harm when the same is put again. The
    queues of Python 3.6 and of PyPy would stay locked, or count one too few.
    """

    def __init__(self) -> None:
        self._items: Deque[Optional[Message]] = deque()
        self._gate = Gate()

    def put(self, item: Optional[Message]) -> None:
        """Add a call; None: the thread shall end."""
        self._items.append(item)
        self._gate.open()

    def get(self) -> Optional[Message]:
        """Wait for the next, and take it."""
        while not self._items:
            self._gate.wait()
        return self._items.popleft()


class Lane:
    """The calls that wait for one thread.

    Attributes:
        job: the first to be set serves the lane. An interrupt may come in the middle of starting its thread;
            then another is started, and one of the two leaves.
        started: whether that is over.
    """

    def __init__(self) -> None:
        self.queue = Queue()
        self.job = FirstOf()
        self.started = False


class Lanes:
    """The lanes of a session.

    Args:
        executor: whose calls run there.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._by_id: Dict[int, Lane] = {}
        self._single: Tuple[int, Lane] = (0, Lane())

    def deliver(self, request: Message) -> None:
        """Put a call in the queue of its thread, which is started when there is none."""
        if request.thread == SINGLE_THREAD:
            if self._single[0] != request.request:
                self._single = (request.request, Lane())
            lane = self._single[1]
            if self._start(lane, "single", request):
                lane.queue.put(request)
                lane.queue.put(None)
        else:
            lane = self._by_id.get(request.thread) or self._by_id.setdefault(request.thread, Lane())
            if self._start(lane, str(request.thread), request):
                lane.queue.put(request)
            else:
                del self._by_id[request.thread]

    def _start(self, lane: Lane, name: str, request: Message) -> bool:
        """Make sure that a thread serves the lane, or answer that there can be none."""
        if lane.started:
            return True
        thread = threading.Thread(target=self._run, args=(lane,), name=f"easycluster-{name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            if lane.job.set(None) is not None:
                raise
            self._executor.post(self._executor.caller.failure(request, error))
            return False
        lane.started = True
        return True

    def stop(self, thread: int) -> None:
        """Let a thread end when the calls it has are done."""
        lane = self._by_id.pop(thread, None)
        if lane is not None:
            lane.queue.put(None)

    def _run(self, lane: Lane) -> None:
        job = Job(self._executor)
        if lane.job.set(job) is not job:
            return
        self._executor.jobs.add(job)
        while True:
            request = lane.queue.get()
            if request is None:
                self._executor.jobs.discard(job)
                return
            job.serve_surely(request)
