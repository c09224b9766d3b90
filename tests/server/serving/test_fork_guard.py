"""Forks in the user's code: the follower is stopped meanwhile, and the child has no connection.

That ``os.fork`` itself calls these hooks is tested in tests/integration/test_forks.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from easycluster_server._serving.fork_guard import ForkGuard
from helpers.waiting import PATIENCE


class FakeFollower:
    """Notes how it is started, stopped and woken."""

    def __init__(self) -> None:
        self.is_running = True
        self.notes: list[str] = []
        self.refuses = False

    def start(self) -> None:
        if self.refuses:
            raise RuntimeError("can't start new thread")
        self.notes.append("start")
        self.is_running = True

    def stop(self) -> bool:
        self.notes.append("stop")
        before, self.is_running = self.is_running, False
        return before

    def wake(self) -> None:
        self.notes.append("wake")


class FakeTransport:
    """Notes that it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Process:
    """A process with a guard.

    Attributes:
        before, after_in_parent, after_in_child: the hooks that Python would call.
    """

    def __init__(self) -> None:
        self.follower = FakeFollower()
        self.transport = FakeTransport()
        self.guard = ForkGuard(cast("Any", self.follower), cast("Any", self.transport))
        self.before: Callable[[], None]
        self.after_in_parent: Callable[[], None]
        self.after_in_child: Callable[[], None]

    def register(self, **hooks: Callable[[], None]) -> None:
        """Stands for that of `os`, which nobody can undo."""
        vars(self).update(hooks)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """A process whose hooks are called by hand."""
    process = Process()
    monkeypatch.setattr(os, "register_at_fork", process.register)
    handler = signal.getsignal(signal.SIGINT)
    process.guard.install()
    yield process
    signal.signal(signal.SIGINT, handler)


def test_parent(process: Process) -> None:
    """The follower is stopped before a fork and started again after it; the connection stays."""
    process.before()
    during = process.follower.is_running
    process.after_in_parent()

    assert not during
    assert process.follower.notes == ["stop", "start"]
    assert process.transport.closed == 0


def test_several_threads_fork(process: Process) -> None:
    """The follower stays stopped until the last of the threads that fork at once is done."""
    with ThreadPoolExecutor(1) as other:
        process.before()
        other.submit(process.before).result(PATIENCE)
        process.after_in_parent()
        between = process.follower.is_running
        other.submit(process.after_in_parent).result(PATIENCE)

    assert not between
    assert process.follower.is_running


def test_child(process: Process) -> None:
    """The child closes the connection once, also when it forks itself, and Ctrl-C raises KeyboardInterrupt there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.before()
    process.after_in_child()
    process.after_in_child()

    assert process.transport.closed == 1
    assert process.follower.notes == ["stop"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_forks_of_the_child(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child, which has no follower, the hooks of the parent do nothing when it forks."""
    process.before()
    process.after_in_child()
    before = list(process.follower.notes)
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    process.before()
    process.after_in_parent()

    assert process.follower.notes == before


def test_waking(process: Process) -> None:
    """A follower that runs is woken, and not started."""
    process.guard.wake_follower()

    assert process.follower.notes == ["wake"]


def test_hook_that_an_interrupt_cut_short(process: Process) -> None:
    """A follower that was not started after a fork, because a signal handler raised there, is started with the next
    call of the thread that forked."""
    process.before()
    process.guard.wake_follower()

    assert process.follower.notes == ["stop", "start"]


def test_waking_while_another_thread_forks(process: Process) -> None:
    """While another thread is in the middle of a fork, a call does not start the follower."""
    with ThreadPoolExecutor(1) as other:
        other.submit(process.before).result(PATIENCE)
        process.guard.wake_follower()
        during = process.follower.is_running
        other.submit(process.after_in_parent).result(PATIENCE)

    assert not during
    assert process.follower.is_running


def test_no_thread_for_the_follower(process: Process) -> None:
    """Where the system has no thread for the follower the call runs without it, and a later one tries again."""
    process.before()
    process.follower.refuses = True
    process.guard.wake_follower()
    process.follower.refuses = False
    process.guard.wake_follower()

    assert process.follower.notes == ["stop", "start"]


@pytest.mark.parametrize("counts", [[2, 2, 1], [0], [1]])
def test_thread_that_the_kernel_still_counts(
    process: Process, monkeypatch: pytest.MonkeyPatch, counts: list[int]
) -> None:
    """A fork waits until the kernel has forgotten the follower, if the kernel tells."""

    def list_folder(path: str) -> list[str]:
        assert path == "/proc/self/task"
        count = left.pop(0)
        if not count:
            raise FileNotFoundError(path)
        return ["a thread"] * count

    left = [2 if counts[0] else 0, *counts]
    monkeypatch.setattr(os, "listdir", list_folder)
    process.before()

    assert left == []


def test_thread_that_does_not_go(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork waits for the kernel no longer than a moment."""
    monkeypatch.setattr(os, "listdir", lambda path: ["one", "two"])
    process.before()
    process.after_in_parent()

    assert process.follower.is_running
