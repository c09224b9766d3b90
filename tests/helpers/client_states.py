"""States of a client that a test cannot bring about from outside, see `helpers.states`; and what only they reach."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from easycluster_client._session.limited_channel import LimitedChannel
from easycluster_client._session.read_turn import ReadTurn
from easycluster_client._session.references import References
from easycluster_client._ssh import output
from easycluster_client._ssh.process import SshProcess
from helpers.clocks import Clock, make_clocked_lock
from helpers.states import held_by_another_thread

#: Stands for a thread that does nothing any more.
ANOTHER_THREAD = -1


def give_turn(turn: ReadTurn, thread: int = ANOTHER_THREAD) -> None:
    """The thread has the turn to read, but does not read: an interrupt has kept it from handing it over."""
    turn._holder[0] = thread


def take_turn_away(turn: ReadTurn) -> None:
    """No thread has the turn to read, and none of those that wait was told so."""
    turn._holder.clear()


def hand_over_for_another(turn: ReadTurn) -> None:
    """The thread that has the turn to read hands it over."""
    take_turn_away(turn)
    turn._open_next()


@contextmanager
def in_the_middle_of_reading(turn: ReadTurn) -> Iterator[None]:
    """This thread reads; what runs inside is as in a signal handler that has interrupted it."""
    give_turn(turn, get_ident())
    turn.reader = get_ident()
    with turn.reading:
        yield
    turn.reader = 0


def send_by_clock(channel: LimitedChannel, clock: Clock) -> None:
    """Threads that have a limit wait for another sender by this clock."""
    channel._send_lock = make_clocked_lock(clock)


@contextmanager
def another_thread_sends(channel: LimitedChannel) -> Iterator[None]:
    """Another thread is in the middle of sending inside; it gives the lock back as an interrupted sender does."""
    with held_by_another_thread(channel._send_lock):
        yield


def is_free_to_send(channel: LimitedChannel) -> bool:
    """Whether no thread is in the middle of sending."""
    free: list[bool] = []

    def look() -> None:
        held: list[bool] = []
        free.append(channel._send_lock.take(held))
        if held:
            channel._send_lock.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return free[0]


@contextmanager
def references_are_locked(references: References) -> Iterator[None]:
    """Another thread has the lock of the references inside."""
    with held_by_another_thread(references._lock):
        yield


@contextmanager
def output_reader_is_locked() -> Iterator[None]:
    """The lock of the thread that reads what hosts print is taken inside."""
    with output._reader._lock:
        yield


def break_connection(client: Any) -> None:
    """Break the client's connection itself, as a network does."""
    client._easycluster_connection.transport.shutdown()


def be_the_host(ssh: SshProcess, marker: bytes) -> socket.socket:
    """An ssh that was not started expects this marker; return the end that the host would have."""
    ssh._marker = marker
    return ssh._ssh_end


def ssh_process(client: Any) -> subprocess.Popen[bytes]:
    """Return the client's ssh."""
    process: subprocess.Popen[bytes] = client._easycluster_connection._finalize.peek()[2][1].__self__._process
    return process


def close_half(client: Any) -> None:
    """The direction to the server ends; what the server sends still arrives."""
    client._easycluster_connection.transport.socket.shutdown(socket.SHUT_WR)
