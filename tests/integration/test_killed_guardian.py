"""What becomes of a connection whose guardian, or the keeper behind that, is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from easycluster import ConnectionLost, define_common
from easycluster_server._system.posix.proc import Process, read_process
from helpers.masters import end, identify, lives, wait_until_gone
from helpers.waiting import wait_until

UPGRADED_TOO = True
TLS_TOO = True

REMOTE = '''
import ctypes, os, signal, subprocess, sys, time

DEAF = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
os.write(1, b"x")
time.sleep(600)
"""

def start_tree():
    """Start a process that ignores the signals by which one asks to end, a daemon, and forks with all descriptors."""
    deaf = subprocess.Popen([sys.executable, "-S", "-c", DEAF], stdout=subprocess.PIPE)
    deaf.stdout.read(1)
    daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
    return [os.getppid(), os.getpid(), deaf.pid, daemon.pid, fork(), fork(leave=True)]

def fork(leave=False):
    """Fork a process that ignores all signals that can be ignored."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        if leave:
            os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.write(writing, b"x")
        time.sleep(600)
    os.read(reading, 1)
    return pid

def start_detached():
    from easycluster.server import detach

    popen = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
    detach(popen)
    return [popen.pid, int(popen.stdout.readline())]

def outlive_parent():
    """Do what a change of the user does: the kernel no longer ends this process with its parent."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    assert ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == 0

def pids():
    return [os.getppid(), os.getpid()]

def sleep():
    time.sleep(600)
'''


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


def start_tree(client: Any) -> list[Process]:
    """Return keeper, guardian, worker, and processes that the worker has started."""
    tree = identify(*client.start_tree())
    return [*identify(tree[0].parent), *tree]


@pytest.mark.parametrize("outlives", [False, True], ids=["", "outlives"])
def test_killed_guardian_leaves_nothing(
    client: Any, outlives: bool, record_property: Callable[[str, object], None]
) -> None:
    """When its guardian is killed, a waiting call fails, and everything ends that the worker has started.

    The worker, too, where the kernel does not end it.
    """
    tree = start_tree(client)
    if outlives:
        client.outlive_parent()
    response = client.sleep(nonblocking=True)
    begin = time.monotonic()
    os.kill(tree[1].pid, signal.SIGKILL)
    with pytest.raises(ConnectionLost):
        response.wait()
    record_property("seconds until the call failed", time.monotonic() - begin)
    wait_until_gone(tree)
    record_property("seconds", time.monotonic() - begin)


def test_killed_guardian_spares_what_was_detached(client: Any) -> None:
    """Processes that were given to `detach` live on when the guardian is killed, with what they have started."""
    detached = identify(*client.start_detached())
    tree = start_tree(client)
    os.kill(tree[1].pid, signal.SIGKILL)
    wait_until_gone(tree)

    for process in detached:
        end(process)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_end_of_the_keeper_is_that_of_the_connection(client: Any, number: int) -> None:
    """A keeper that is killed, or told to end, takes everything with it."""
    tree = start_tree(client)
    os.kill(tree[0].pid, number)
    wait_until_gone(tree)

    with pytest.raises(ConnectionLost):
        client.sleep()


def test_keeper_waits_for_its_guardian(client: Any) -> None:
    """Signals that a guardian does not get are no end of the connection; a stop of the guardian is none, either."""
    guardian, worker = identify(*client.pids())
    (keeper,) = identify(guardian.parent)
    for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM):
        os.kill(keeper.pid, signum)
    os.kill(guardian.pid, signal.SIGSTOP)
    wait_until(lambda: read_process(guardian.pid).state == "T")  # type: ignore[union-attr]
    assert client.eval("1 + 1") == 2
    os.kill(guardian.pid, signal.SIGCONT)
    assert all(map(lives, (keeper, guardian, worker)))


def test_close_spares_daemons(client: Any, record_property: Callable[[str, object], None]) -> None:
    """After an orderly close the keeper leaves at once, and daemons stay, whatever they hold; close() is quick."""
    keeper, guardian, worker, deaf, daemon, child, forked = start_tree(client)
    begin = time.monotonic()
    client.close()
    record_property("seconds", time.monotonic() - begin)
    wait_until_gone([keeper, guardian, worker, deaf, child])

    end(daemon)
    end(forked)
