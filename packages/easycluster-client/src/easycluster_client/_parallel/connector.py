"""Making many connections.

A thread of its own plans the work, because no signal handler raises there: the caller only waits for it, and
tells it when an interrupt has ended the waiting. Each connection is made in one more thread.

Connections whose first hop is the same machine, a jump host for example, are limited to a few at once: its
SSH server drops connections when too many have not logged in yet (MaxStartups). Those that it drops all the
same are tried again. An attempt that takes long is waiting for the network, so others may begin beside it: a
host that hangs costs nobody time.
"""

from __future__ import annotations

import _thread
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from easycluster_client._address import Address
from easycluster_client._api.client import Client
from easycluster_client._attempts import Attempt
from easycluster_client._connect.spec import parse_connection_spec
from easycluster_client._connect.spec_grammar import quote_spec
from easycluster_client._deadlines import CONNECT_TIMEOUT, deadline_after, seconds_until
from easycluster_client._ssh.failures import is_dropped_before_login
from easycluster_client._ssh.hops import find_first_hop
from easycluster_client._tls_options import check_tls
from easycluster_protocol.errors import ConnectError
from easycluster_protocol.keys import hide
from easycluster_server._system.masters import make_room

from .closing import close_all
from .hosts import Hosts
from .progress import Progress

#: The most attempts at once. Those that have taken long already do not count for the first limit.
_MOST_NEW = 16
_MOST = 128

#: Seconds after which an attempt has taken long: processors are busy with it for less than that.
_LONG = 4.0

#: Threads that ask ssh for the first hop of each address.
_HOP_THREADS = 4

#: Seconds before a connection that was dropped is tried again: at first, and at most. Each is varied by half.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 4.0

#: Seconds that attempts have to end when they were given up. Only the lookup of a name takes longer.
_GRACE = 5.0

#: Seconds between two looks at the clock, for the lines about the progress.
_TICK = 1.0


class _Task:
    """One connection that is to be made."""

    def __init__(self, spec: str, address: Address) -> None:
        self.spec = spec
        self.address = address
        self.hop = address.peername
        self.attempt = Attempt()
        self.started_at = 0.0


class Connector:
    """Makes many connections.

    Args:
        specs: the specs, hidden: they may have keys.
        default_key: the key of specs that give none.
        make: makes a client of a spec.
        width: the most new attempts with the same first hop.
        timeout: the limit for all of them, in seconds, or None.
        progress: is told how far the work has come.

    Attributes:
        is_over: whether no more is to be begun.
    """

    def __init__(
        self,
        specs: list[str],
        default_key: bytes | None,
        make: Callable[[str], Client],
        width: int,
        timeout: float | None,
        progress: Progress,
    ) -> None:
        self._specs = specs
        default_key = self._default_key = hide(default_key)
        self._make = make
        self._width = width
        self._timeout = timeout
        self._deadline = deadline_after(timeout)
        self._progress = progress
        self._clients: dict[str, Client] = {}
        self._errors: dict[str, BaseException] = {}
        #: Tasks whose first hop is to be found, those that can start, and those that have.
        self._unresolved: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._waiting: dict[_Task, None] = {}
        self._running: dict[_Task, None] = {}
        #: A task whose hop is known, a task with its client or error, or None: the caller was interrupted.
        self._events: queue.SimpleQueue[tuple[_Task, Client | BaseException | None] | None]
        self._events = queue.SimpleQueue()
        self._unresolved_count = 0
        #: The threads that find hops, and the ends of those that have ended.
        self._hop_threads = 0
        self._hop_ends: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.is_over = False
        self._is_interrupted = False
        #: The thread that plans the work; a lock that it holds; and the error that it ended with.
        self._threads: list[int] = []
        self._working = _thread.allocate_lock()
        self._failure: BaseException | None = None

    # Called by the caller's thread, where an interrupt may come at any moment.

    def start(self) -> None:
        """Begin."""
        self._working.acquire()
        # One C call: a thread that was started is noted.
        self._threads.extend(map(_thread.start_new_thread, (self._run,), ((),)))

    def wait(self) -> None:
        """Wait until every host is connected or has failed."""
        with self._working:
            pass

    def take_hosts(self, specs: list[str] | None = None) -> Hosts:
        """Return the clients and errors by the script's own specs, which are not hidden."""
        specs = specs or self._specs
        if self._failure is not None:
            raise self._failure
        hosts = Hosts()
        hosts.update((spec, self._clients[spec]) for spec in specs if spec in self._clients)
        hosts.errors.update((spec, self._errors[spec]) for spec in specs if spec in self._errors)
        return hosts

    def interrupt(self) -> None:
        """Give up everything, and close what is connected already."""
        self._is_interrupted = True
        self._events.put(None)
        if self._threads and self._working.acquire(timeout=2 * _GRACE):
            self._working.release()
            close_all(self._clients)

    # Called by the thread that plans the work.

    def _run(self) -> None:
        try:
            self._plan()
        except BaseException as error:
            self._failure = error
        finally:
            self.is_over = True
            self._end_hop_threads()
            self._working.release()

    def _end_hop_threads(self) -> None:
        for _ in range(self._hop_threads):
            self._unresolved.put(None)
        try:
            for _ in range(self._hop_threads):
                self._hop_ends.get(timeout=_GRACE)
        except queue.Empty:  # they ask no more when they go on
            pass

    def _plan(self) -> None:
        make_room(len(self._specs))
        for spec in self._specs:
            self._enter(spec)
        for _ in range(min(_HOP_THREADS, self._unresolved_count)):
            threading.Thread(target=self._find_hops, daemon=True).start()
            self._hop_threads += 1
        while self._waiting or self._running or self._unresolved_count:
            self._start_some()
            self._progress.tell(len(self._clients), len(self._errors))
            try:
                event = self._events.get(timeout=self._time_to_next_look())
            except queue.Empty:
                event = None
            if event is not None:
                self._note(*event)
            elif self._is_interrupted:
                return self._give_up("the script was interrupted")
            elif self._deadline is not None and seconds_until(self._deadline) == 0:
                return self._give_up(
                    f"no answer within {self._timeout:g} seconds, the limit for all hosts together"
                )
        return None

    def _enter(self, spec: str) -> None:
        try:
            task = _Task(spec, _find_address(spec, self._default_key))
        except Exception as error:  # the error of a user's mistake; the other specs may be right
            self._errors[spec] = error
            return
        if task.address.uses_ssh:
            self._unresolved_count += 1
            self._unresolved.put(task)
        else:
            self._waiting[task] = None

    def _find_hops(self) -> None:
        while (task := self._unresolved.get()) is not None and not self.is_over:
            try:
                task.hop = find_first_hop(task.address)
            finally:
                self._events.put((task, None))
        self._hop_ends.put(None)

    def _time_to_next_look(self) -> float:
        now = time.monotonic()
        looks = [_TICK, *(task.started_at + _LONG - now for task in self._running)]
        left = seconds_until(self._deadline)
        if left is not None:
            looks.append(left)
        return max(0.01, min(each for each in looks if each > 0))

    def _start_some(self) -> None:
        now = time.monotonic()
        new = [task for task in self._running if now - task.started_at < _LONG]
        hops = Counter(task.hop for task in new)
        room = min(_MOST_NEW - len(new), _MOST - len(self._running))
        for task in list(self._waiting):
            if room <= 0:
                return
            if hops[task.hop] < self._width:
                hops[task.hop] += 1
                room -= 1
                del self._waiting[task]
                self._start(task, now)

    def _start(self, task: _Task, now: float) -> None:
        task.started_at = now
        self._running[task] = None
        try:
            threading.Thread(target=self._connect, args=(task,), daemon=True).start()
        except RuntimeError as error:  # too many threads
            self._note(task, error)

    def _note(self, task: _Task, outcome: Client | BaseException | None) -> None:
        if outcome is None:
            self._unresolved_count -= 1
            self._waiting[task] = None
            return
        self._running.pop(task, None)
        if isinstance(outcome, BaseException):
            self._errors[task.spec] = outcome
        else:
            self._clients[task.spec] = outcome

    def _give_up(self, reason: str) -> None:
        for task in self._running:
            task.attempt.give_up(reason)
        deadline = time.monotonic() + _GRACE
        while self._running and time.monotonic() < deadline:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if event is not None and event[1] is not None:
                self._note(*event)
        for spec in self._specs:
            if spec not in self._clients:
                self._errors.setdefault(
                    spec, ConnectError(f"cannot connect to {quote_spec(spec, ())}: {reason}")
                )

    # Called by the thread of one connection.

    def _connect(self, task: _Task) -> None:
        outcome: Client | BaseException
        try:
            with task.attempt:
                outcome = _connect_patiently(task, self._make)
        except BaseException as error:
            outcome = error
        if task.attempt.is_given_up:
            outcome = _end_late(task, outcome)
        self._events.put((task, outcome))


def _find_address(spec: str, default_key: bytes | None) -> Address:
    params = parse_connection_spec(spec, default_key=default_key or b"", warn=False)
    return Address(
        params["key"],
        params["host"],
        params["port"],
        params["ssh"],
        params["user"],
        params["rpython"],
        params["extra_args"],
        params["enable_compression"],
        params.get("connect_timeout", CONNECT_TIMEOUT),
        check_tls(
            params.get("tls", "auto"), params.get("tls_ca"), params.get("tls_cert"), params.get("tls_key")
        ),
    )


def _connect_patiently(task: _Task, make: Callable[[str], Client]) -> Client:
    """Make a client; try again when the SSH server has dropped the connection because it was busy."""
    until = time.monotonic() + task.address.timeout
    pauses = _vary_pauses()
    while True:
        try:
            return make(task.spec)
        except ConnectError as error:
            pause = next(pauses)
            if not is_dropped_before_login(error) or time.monotonic() + pause > until:
                raise
        task.attempt.sleep(pause)


def _vary_pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.5)  # noqa: S311 -- so that those that were dropped spread
        pause = min(2 * pause, _LONGEST_PAUSE)


def _end_late(task: _Task, outcome: Client | BaseException) -> ConnectError:
    """Close a client that is too late; return the error of the attempt."""
    if isinstance(outcome, ConnectError):
        return outcome
    if isinstance(outcome, Client):
        outcome.close()
    error = ConnectError(f"cannot connect to {task.address.peername}: {task.attempt.reason}")
    error.__cause__ = outcome if isinstance(outcome, BaseException) else None
    return error
