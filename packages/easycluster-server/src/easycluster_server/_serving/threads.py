"""The threads of a session beside the main thread, each with the queue of its calls."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from typing import TYPE_CHECKING, Deque, Dict, List, Optional, Set, Tuple

from easycluster_protocol._constants import SINGLE_THREAD
from easycluster_protocol._wire.messages import Message
from easycluster_server._io.interrupts import FirstOf, Gate, OwnedLock

from .executor import copy_queue
from .job import Cancelled, Job
from .lazy import free_import_lock, load

if TYPE_CHECKING:
    from .executor import Executor
    from .job import JobOwner


#: After so many calls Python has looked whether there is something to raise in the thread; one is enough.
_LOOKS = 8


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

    def first(self) -> Optional[Message]:
        """Wait for the next call, and return it; it stays the first."""
        while not self._items:
            self._gate.wait()
        return self._items[0]

    def get(self) -> Optional[Message]:
        """Wait for the next call, and take it."""
        self.first()
        return self._items.popleft()

    def find(self, number: int) -> Optional[Message]:
        """Return the call of this number, None: it is not here."""
        for item in copy_queue(self._items):
            if item is not None and item.request == number:
                return item
        return None


class CallThread:
    """A thread that runs calls, and the calls that wait for it.

    Attributes:
        queue: the calls that wait.
        job: the job of the system thread that serves the queue, once there is one. An interrupt may come in
            the middle of starting that thread; then another is started, and the second to set its job leaves.
        has_started: whether that is over.
        serving: that job; None: its thread does not run yet.
    """

    def __init__(self) -> None:
        self.queue = CallQueue()
        self.job = FirstOf()
        self.has_started = False
        self.serving: Optional[Job] = None


class ThreadJob(Job):
    """Runs the calls of a thread beside the main thread, where an exception ends a call that is cancelled.

    Another thread lets Python raise `Cancelled` here, between any two bytecodes, but only while `_target` is
    that call. `_lock` is held while this is checked and done, and while `_target` is taken back. One that is
    raised later than in the user's code still is in `run` of the same call.
    """

    def __init__(self, owner: JobOwner) -> None:
        super().__init__(owner)
        self._ident = _thread.get_ident()
        self._lock = OwnedLock()
        #: The call that may be ended now, or 0; and the last one in which something was raised.
        self._target = self._struck = 0

    def cancel(self, number: int) -> None:
        """Let `Cancelled` be raised in the call of this number; call it in another thread."""
        try:
            raising = load("easycluster_server._serving.raising")
        except (ImportError, OSError):  # a Python without ctypes; or remote code has used up the descriptors
            return
        with self._lock:
            if self._target == number:
                self._struck = number
                raising.raise_in_thread(self._ident, Cancelled)

    def run(self, request: Message) -> Optional[Message]:
        """Run the user's code and return the answer; None: the call was cancelled before."""
        answers: List[Optional[Message]] = []
        self._target = request.request
        try:
            try:
                answers.extend(map(super().run, (request,)))  # one C call, which loses no answer
            finally:
                self._close()
        except Cancelled:  # raised while the answer was made, or when it had been
            self._close()
        if self._struck == request.request:
            free_import_lock()
        return answers[0] if answers else self._pack_failure(request, Cancelled())

    def _close(self) -> None:
        """See to it that nothing is raised in this thread any more."""
        try:
            self._close_now()
        except Cancelled:
            self._close_now()

    def _close_now(self) -> None:
        held: List[bool] = []
        try:
            self._lock.take(held, -1)
            number, self._target = self._target, 0
        finally:
            if held:
                self._lock.release()
        if number and number == self._struck:
            # What has not been raised yet is raised now, after one of these calls. Telling Python to forget
            # it would leave a flag behind that slows all threads down, until Python 3.12.
            for _ in range(_LOOKS):
                _thread.get_ident()


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
        #: The threads that run, or are about to.
        self._all: Set[CallThread] = set()

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
        self._all.add(thread)
        started = threading.Thread(target=self._run, args=(thread,), name=f"easycluster-{name}", daemon=True)
        try:
            started.start()
        except RuntimeError as error:  # the system has no more threads
            no_job: Optional[Job] = None
            if thread.job.set(no_job) is not no_job:  # a thread has started after all
                raise
            self._all.discard(thread)
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

    def find(self, number: int) -> Optional[Tuple[Message, Optional[Job]]]:
        """Return a call that has no answer yet, and the job of its thread, if that has begun."""
        for thread in tuple(self._all):
            request = thread.queue.find(number)
            if request is not None:
                return request, thread.serving
        return None

    def _run(self, thread: CallThread) -> None:
        job = ThreadJob(self._executor)
        if thread.job.set(job) is not job:
            return
        thread.serving = job
        self._executor.jobs.add(job)
        while True:
            request = thread.queue.first()
            if request is None:
                self._executor.jobs.discard(job)
                self._all.discard(thread)
                return
            job.serve_uninterrupted(request)
            thread.queue.get()
