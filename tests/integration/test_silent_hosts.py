"""Hosts that say nothing while a call waits: the busy ones are waited for, the frozen and lost ones are given up."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import easycluster
from easycluster import ConnectionLost, OutcomeUnknown, ThreadedClient, define_common
from easycluster_client import Client
from helpers.relays import Relay
from helpers.servers import Server
from helpers.waiting import PATIENCE

THREADED_TOO = True

Connect = Callable[..., Any]

#: A frozen host is given up soon. Beside a busy one the tests of other workers of pytest-xdist may be busy, too.
SHORT: Any = {"keep_alive_interval": 0.2, "keep_alive_timeout": 1.0}
LONGER: Any = {"keep_alive_interval": 0.4, "keep_alive_timeout": 2.0}

CODE = """
import ctypes, sys

def hold_the_lock(seconds):
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(int(seconds * 1e3))
    else:
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return seconds
"""


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes do nothing, as on a host that hangs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def patient(connect: Connect) -> Any:
    """A client with limits that a busy host exceeds."""
    define_common(CODE)
    return connect(**LONGER)


def test_busy_process(patient: Any) -> None:
    """A process that holds its interpreter's lock for longer than the timeout finishes its call."""
    assert patient.hold_the_lock(3.0) == 3.0


def test_busy_process_that_reads_nothing(patient: Any) -> None:
    """What is too large for the kernel waits until a busy process takes it in, also in a call with a limit."""
    busy = patient.hold_the_lock(3.0, nonblocking=True)

    assert easycluster.options(patient, timeout=PATIENCE).len(bytes(20_000_000)) == 20_000_000
    assert busy.wait() == 3.0


@pytest.mark.parametrize("kind", [Client, ThreadedClient])
def test_slow_link(tcp_server: Server, key: bytes, kind: type[Client]) -> None:
    """While bytes move, in either direction, a call may take longer than the timeout, though nobody answers questions."""
    relay = Relay(tcp_server.port, rate=2e6)
    with kind(key, "127.0.0.1", relay.port, **SHORT) as opened:
        client: Any = opened
        assert client.len(bytes(6_000_000)) == 6_000_000
        assert len(client.bytes(3_000_000)) == 3_000_000
    relay.join()


#: The transports over which a guardian can be asked.
WITH_GUARDIANS = pytest.mark.parametrize(
    "transport",
    ["local", "tcp", "threaded", pytest.param("ssh", marks=pytest.mark.needs_sshd)],
    indirect=True,
)


@pytest.fixture
def told(connect: Connect) -> Any:
    """A client with limits that a frozen host exceeds soon."""
    return connect(**SHORT)


@WITH_GUARDIANS
def test_frozen_process(told: Any) -> None:
    """A process that is stopped is given up within the timeout, in every waiting call, with what was seen."""
    with stopped(told.os.getpid()):
        waiting = told.eval("1", nonblocking=True)
        with pytest.raises(
            ConnectionLost, match="^Remote server not responding .* is stopped .state T"
        ) as caught:
            told.eval("1")
        assert (type(caught.value), caught.value.reason) == (OutcomeUnknown, "frozen")
        with pytest.raises(ConnectionLost, match="^Remote server not responding"):
            waiting.wait()


@WITH_GUARDIANS
def test_frozen_host(told: Any) -> None:
    """When the guardian of the process says nothing either, the host is frozen."""
    pids = told.os.getppid(), told.os.getpid()
    with stopped(*pids), pytest.raises(ConnectionLost, match="^Remote server not responding .*neither "):
        easycluster.options(told, timeout=PATIENCE).eval("1")


@WITH_GUARDIANS
def test_frozen_process_that_is_sent_much(told: Any) -> None:
    """A call that waits for room, because the process reads nothing, ends as well."""
    with (
        stopped(told.os.getpid()),
        pytest.raises(ConnectionLost, match="^Remote server not responding"),
    ):
        told.len(bytes(20_000_000))


@WITH_GUARDIANS
def test_frozen_process_in_parallel(told: Any, connect: Connect) -> None:
    """Beside a host that answers a frozen one is given up, too."""
    other = connect(**SHORT)
    with stopped(told.os.getpid()):
        frozen = told.eval("1", nonblocking=True)
        answered = other.eval("2", nonblocking=True)
        done = easycluster.wait([frozen, answered])

        assert answered.wait() == 2
        assert set(done[0]) == {frozen, answered}
        with pytest.raises(ConnectionLost, match="^Remote server not responding"):
            frozen.wait()


@WITH_GUARDIANS
def test_frozen_process_that_is_awaited(told: Any) -> None:
    """An asyncio task that awaits a call of a frozen process gets the error as well."""

    async def run() -> None:
        await told.eval("1", nonblocking=True)

    with stopped(told.os.getpid()), pytest.raises(ConnectionLost, match="^Remote server not responding"):
        asyncio.run(run())


@WITH_GUARDIANS
def test_frozen_process_that_goes_on(told: Any) -> None:
    """A process that goes on in time finishes its call."""
    pid = told.os.getpid()
    os.kill(pid, signal.SIGSTOP)
    asked = told.eval("7 * 6", nonblocking=True)
    go_on = threading.Timer(0.5, os.kill, (pid, signal.SIGCONT))
    go_on.start()

    assert asked.wait() == 42
    go_on.join()
