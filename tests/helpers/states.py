"""States that a test cannot bring about from outside, at least not surely: what an interrupt has left half done, a
thread in the middle of something, numbers that are reached only after years. Private attributes are set here, and in
`helpers.client_states`, and nowhere else in the tests."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._objects import exports
from easycluster_protocol._wire import receiver as receiver_module
from easycluster_protocol._wire.sender import Sender
from easycluster_server._io.channel import Channel
from easycluster_server._io.interrupts import Gate
from easycluster_server._objects.table import ObjectTable
from easycluster_server._serving import lazy
from easycluster_server._serving.follower import Follower
from easycluster_server._serving.session import Session
from easycluster_server._system import control
from helpers.waiting import PATIENCE

# The protocol.


@contextmanager
def registrations_restored() -> Iterator[None]:
    """What is registered inside as server class or singleton is forgotten at the end."""
    registered, singletons = dict(exports._registered), dict(exports._singletons)
    yield
    exports._registered.clear()
    exports._registered.update(registered)
    exports._singletons.clear()
    exports._singletons.update(singletons)
    forget_exports()


def forget_exports() -> None:
    """The exports of no class have been looked for yet: that keeps classes alive."""
    exports._exports_by_class.clear()


@contextmanager
def received_to_their_place(size: int) -> Iterator[None]:
    """Frames of which ``size`` bytes or more are missing are received to their place, others by way of the inbox."""
    before = receiver_module._MIN_DIRECT_BYTES
    receiver_module._MIN_DIRECT_BYTES = size
    try:
        yield
    finally:
        receiver_module._MIN_DIRECT_BYTES = before


def number_next_stream(sender: Sender, number: int) -> None:
    """The sender has sent so many large messages that the next one gets this number."""
    sender._streams = itertools.count(number)


def forge_proof(handshake: ServerHandshake) -> None:
    """The server has a proof of the key that is none, as one that does not know it would have."""
    handshake._secrets.prove_server = lambda transcript: b"\0" * 32  # type: ignore[method-assign,union-attr]


# The server, and the channel of both ends.


@contextmanager
def held_by_another_thread(lock: Any) -> Iterator[None]:
    """Another thread has the lock inside."""
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            leave.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(PATIENCE)
    try:
        yield
    finally:
        leave.set()
        thread.join()


@contextmanager
def in_the_middle_of_sending(channel: Channel) -> Iterator[None]:
    """This thread sends; what runs inside is as in a signal handler that has interrupted it.

    At the end it gives the lock back as an interrupted sender does: without a look at what others have left to it.
    """
    with channel._send_lock:
        yield


def leak_send_lock(channel: Channel) -> None:
    """An interrupt has left the sender's lock with this thread."""
    channel._send_lock.acquire()


@contextmanager
def table_is_locked(table: ObjectTable) -> Iterator[None]:
    """Another thread has the lock of the table inside."""
    with held_by_another_thread(table._lock):
        yield


@contextmanager
def no_guardian() -> Iterator[None]:
    """This process is no worker inside, so it has no guardian."""
    before = control._control
    control._control = None
    try:
        yield
    finally:
        control._control = before


def note_waits(follower: Follower) -> list[float]:
    """Return a list where a follower that does not run yet will note for how long it waits; -1: until it is woken."""
    waits: list[float] = []

    class NotedGate(Gate):
        def wait(self, seconds: float = -1) -> bool:
            waits.append(seconds)
            return super().wait(seconds)

    follower._gate = NotedGate()
    return waits


def interrupt_stop(follower: Follower) -> None:
    """An interrupt has come at the beginning of a stop."""
    follower._stopping = True


def prepare_for_calls(session: Session) -> None:
    """The session is as after its first call: the follower runs, and all that calls need is loaded."""
    session._follower.start()
    session._executor.runner = session._make_runner()
    session._deliver_call = session._executor.deliver


def forget_module(name: str) -> None:
    """The module has not been imported, nor loaded late."""
    sys.modules.pop(name, None)
    lazy._loaded.pop(name, None)
