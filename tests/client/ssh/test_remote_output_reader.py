"""The thread that reads what hosts print, and where it writes that."""

from __future__ import annotations

import io
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from easycluster_client._ssh import output
from easycluster_server._system.posix import waiting
from helpers.client_states import output_reader_is_locked
from helpers.screens import (
    Host,
    Recorder,
    make_screen,
    serve_hosts,
    threads,
)
from helpers.waiting import PATIENCE, wait_until

screen = pytest.fixture(make_screen)
host = pytest.fixture(serve_hosts)


class Broken(Recorder):
    """Fails to write."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> None:
        raise self._error("on purpose")


@pytest.mark.parametrize(
    "stream",
    [None, 5, Broken(OSError), Broken(ValueError), Broken(RuntimeError), io.BytesIO()],
    ids=["None", "no stream", "OSError", "ValueError", "RuntimeError", "for bytes"],
)
def test_stream_that_cannot_be_written(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    """Whatever standard error is or does, the hosts' words are read on: else the hosts would have to wait."""
    one = host()
    monkeypatch.setattr(sys, "stderr", stream)
    one.say("lost\n")
    wait_until(lambda: one.output.text == "lost\n" and one.output._unshown == b"")

    monkeypatch.setattr(sys, "stderr", screen)
    one.say("found\n")

    screen.wait_for("found\n")


def test_stream_that_is_replaced(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time it is written to what standard error is then."""
    one = host()
    one.say("first\n")
    screen.wait_for("first\n")
    other = Recorder()
    monkeypatch.setattr(sys, "stderr", other)
    one.say("second\n")

    other.wait_for("second\n")
    assert screen.text == "first\n"


def test_stream_with_few_letters(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stream cannot write is written as an escape."""
    one = host()
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, "ascii"))
    one.say("käse\n")

    wait_until(lambda: raw.getvalue() == rb"k\xe4se" + b"\n")


# The thread.


def test_one_thread(host: Callable[..., Host], screen: Recorder) -> None:
    """One thread reads for all; it ends with the last of them, and the next one starts another."""
    assert threads() == []
    hosts = [host() for _ in range(5)]
    assert len(threads()) == 1
    for each in hosts:
        each.leave()
        each.output.finish(PATIENCE)
    wait_until(lambda: not threads())

    again = host()
    again.say("again\n")

    screen.wait_for("again\n")
    assert len(threads()) == 1


def test_many_in_turn(host: Callable[..., Host], screen: Recorder) -> None:
    """However the end of one and the beginning of the next meet, every word is shown."""
    for number in range(300):
        one = host()
        one.say(f"{number}\n")
        one.leave()
        if number % 3:
            one.output.finish(PATIENCE)

    wait_until(lambda: screen.text.count("\n") == 300)
    assert sorted(map(int, screen.text.split())) == list(range(300))


class NotedPoll:
    """Stands for `select.poll`, and notes in ``polls`` what is waited for."""

    def __init__(self, polls: list[NotedPoll]) -> None:
        self._milliseconds = 0.0  # of the wait that it is in
        self._polls = polls
        self._poll, self._look = select.poll(), select.poll()  # one cannot be used by two threads

    def register(self, descriptor: int, events: int) -> None:
        """Wait for this one, too."""
        self._poll.register(descriptor, events)
        self._look.register(descriptor, events)

    def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
        """Wait."""
        self._milliseconds = float("inf") if milliseconds is None else milliseconds
        self._polls.append(self)
        ready = self._poll.poll(milliseconds)
        self._milliseconds = 0.0
        return ready

    def lasts(self) -> bool:
        """Whether it is waiting, for minutes if nothing comes, and nothing has come."""
        return self._milliseconds > 600_000 and self._look.poll(0) == []


def test_waiting_costs_nothing(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing comes the thread sleeps, also when it has something to show later."""
    monkeypatch.setattr(output, "_HOLD_SECONDS", 1000)
    polls: list[NotedPoll] = []
    stand_in = SimpleNamespace(poll=lambda: NotedPoll(polls), POLLIN=select.POLLIN)
    monkeypatch.setattr(waiting, "select", stand_in)
    first, second, third = host(), host(shown=False), host(shown=False)
    third.output.discard()
    second.say("held back\n")
    first.say("a\n")
    screen.wait_for("a\n")
    wait_until(lambda: second.output.text == "held back\n")

    def sleeps() -> bool:
        return polls[-1].lasts()

    wait_until(sleeps)


def test_forked_master(host: Callable[..., Host], screen: Recorder) -> None:
    """A process that the master forks has its own outputs, and leaves the master's alone."""
    one = host()
    reading, writing = os.pipe()
    with output_reader_is_locked():  # as if another thread held it just then
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            sys.stderr = child_screen = Recorder()
            own = Host()
            own.say("of the child\n")
            child_screen.wait_for("of the child\n")
            own.leave()
            own.output.finish(PATIENCE)
            wait_until(lambda: not threads(), 5)
            os.write(writing, b"done")
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"done"
    assert os.waitpid(pid, 0)[1] == 0

    one.say("of the master\n")
    screen.wait_for("of the master\n")


class Slow(Recorder):
    """Does not take anything before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may = threading.Event(), threading.Event()

    def write(self, text: str) -> None:
        self.begun.set()
        assert self.may.wait(PATIENCE)
        super().write(text)


def test_no_descriptor_for_the_thread(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the thread cannot be started the output is not taken, and the next one is read as ever."""

    def fail() -> NoReturn:
        raise OSError("none is left")

    wait_until(lambda: not threads())
    before = set(os.listdir("/proc/self/fd"))
    reading, writing = os.pipe()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socketpair", fail)
        with pytest.raises(OSError, match="none is left"):
            output.RemoteOutput(reading)
    os.close(reading)
    os.close(writing)
    assert set(os.listdir("/proc/self/fd")) == before
    one = host()
    one.say("read\n")
    screen.wait_for("read\n")


def test_slow_stream(host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch) -> None:
    """While standard error takes nothing, nobody else waits for it, however often the thread is to be woken."""
    slow = Slow()
    one = host()
    monkeypatch.setattr(sys, "stderr", slow)
    one.say("first\n")
    assert slow.begun.wait(PATIENCE)
    for _ in range(70_000):  # a pipe holds 65536
        output._reader.wake()
    two = host()
    two.say("second\n")
    slow.may.set()

    wait_until(lambda: slow.text == "first\nsecond\n")


def test_nothing_to_read(host: Callable[..., Host], screen: Recorder) -> None:
    """Reading never blocks, whatever was said of the descriptor."""
    assert host().output.receive()


def test_descriptor_is_closed(host: Callable[..., Host], screen: Recorder) -> None:
    """When somebody closes all descriptors, as for a daemon, the thread goes on with those that come then."""
    one = host()
    os.close(one.output.descriptor)
    one.output.finish(0.01)
    wait_until(lambda: not threads())

    host().say("still here\n")

    screen.wait_for("still here\n")
