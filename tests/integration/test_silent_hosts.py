"""Hosts that say nothing while a call waits: the busy ones are waited for, the frozen and lost ones are given up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import easycluster
from easycluster import ThreadedClient, define_common
from easycluster_client import Client
from helpers.waiting import PATIENCE

THREADED_TOO = True

LIMITS: Any = {"keep_alive_interval": 0.2, "keep_alive_timeout": 1.0}

CODE = """
import ctypes

def hold_the_lock(seconds):
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return seconds
"""


@pytest.fixture(params=[Client, ThreadedClient])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of a local server, with short limits."""
    define_common(CODE)
    with easycluster.server.spawn_local(request.param, **LIMITS) as client:
        yield client


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


def test_busy_process(client: Any) -> None:
    """A process that holds its interpreter's lock for longer than the timeout finishes its call."""
    assert client.hold_the_lock(2.5) == 2.5
    assert easycluster.options(client, timeout=PATIENCE).hold_the_lock(2.5) == 2.5


def test_busy_process_that_reads_nothing(client: Any) -> None:
    """A call that is larger than the kernel takes, to a process that is busy, waits for that, too."""
    busy = client.hold_the_lock(2.5, nonblocking=True)

    assert client.len(bytes(20_000_000)) == 20_000_000
    assert busy.wait() == 2.5


def test_frozen_process(client: Any) -> None:
    """A process that is stopped is given up within the timeout, in every waiting call, with what was seen."""
    calls = [client.hold_the_lock(0.0, nonblocking=True) for _ in range(2)]
    for call in calls:
        call.wait()
    with stopped(client.os.getpid()):
        waiting = client.eval("1", nonblocking=True)
        with pytest.raises(
            easycluster.ConnectionLost, match="^Remote server not responding .* is stopped .state T"
        ):
            client.eval("1")
        with pytest.raises(easycluster.ConnectionLost, match="^Remote server not responding"):
            waiting.wait()


def test_frozen_host(client: Any) -> None:
    """When the guardian of the process says nothing either, the host is frozen."""
    with (
        stopped(client.os.getppid(), client.os.getpid()),
        pytest.raises(
            easycluster.ConnectionLost, match="^Remote server not responding .*neither its process nor"
        ),
    ):
        easycluster.options(client, timeout=PATIENCE).eval("1")


def test_frozen_process_that_is_sent_much(client: Any) -> None:
    """A call that waits for room, because the process reads nothing, ends as well."""
    with (
        stopped(client.os.getpid()),
        pytest.raises(easycluster.ConnectionLost, match="^Remote server not responding"),
    ):
        client.len(bytes(20_000_000))


def test_frozen_process_that_goes_on(client: Any) -> None:
    """A process that goes on in time finishes its call."""
    pid = client.os.getpid()
    os.kill(pid, signal.SIGSTOP)
    asked = client.eval("7 * 6", nonblocking=True)
    go_on = threading.Timer(0.5, os.kill, (pid, signal.SIGCONT))
    go_on.start()

    assert asked.wait() == 42
    go_on.join()
