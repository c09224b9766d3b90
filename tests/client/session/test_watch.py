"""What the background thread sleeps on, with epoll and without."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from easycluster_client._session import watch as watch_module
from easycluster_client._session.watch import NoWatch, PollWatch, Watch, new_watch
from easycluster_server._io.transport import wait
from helpers.waiting import PATIENCE


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The connection, and its other end."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture(params=[Watch, PollWatch])
def watch(request: pytest.FixtureRequest, pair: tuple[socket.socket, socket.socket]) -> Watch:
    """Each kind in turn."""
    watch: Watch = request.param(pair[0].fileno())
    return watch


def test_only_an_armed_watch_reports(watch: Watch, pair: tuple[socket.socket, socket.socket]) -> None:
    """Bytes are reported while it is armed, once; then it has to be armed again."""
    pair[1].send(b"x")

    assert not watch.wait(0)
    for _ in range(2):
        watch.arm()
        assert watch.wait(PATIENCE)
        assert not watch.wait(0)
    watch.arm()
    watch.disarm()
    assert not watch.wait(0)


def test_roused_watch_reports_at_once(watch: Watch) -> None:
    """After `rouse` it reports although nothing has come."""
    watch.rouse()

    assert watch.wait(PATIENCE)
    assert not watch.wait(0)


def test_wake(watch: Watch) -> None:
    """`wake` ends the waiting, in advance too and any number of times, and is not reported."""
    for _ in range(100_000):  # more than fit into a pipe
        watch.wake()
    while not watch._take_wakes([]) and _is_readable(watch._reading):
        assert not watch.wait(PATIENCE)
    assert not watch.wait(0)


def _is_readable(descriptor: int) -> bool:
    try:
        return bool(os.read(descriptor, 1))
    except BlockingIOError:
        return False


@pytest.mark.parametrize("how", ["arm", "rouse", "wake"])
def test_sleeping_thread_is_woken(watch: Watch, pair: tuple[socket.socket, socket.socket], how: str) -> None:
    """Each of these reaches a thread that waits already."""
    pair[1].send(b"x")
    reported: list[bool] = []

    def run() -> None:
        while not reported or not (reported[-1] or how == "wake"):
            reported.append(watch.wait(None))

    thread = threading.Thread(target=run)
    thread.start()
    getattr(watch, how)()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert reported[-1] is (how != "wake")


def test_descriptors_go_with_the_last_holder(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing has to be closed by hand, and closing twice does no harm."""
    before = os.listdir("/proc/self/fd")
    watch = Watch(pair[0].fileno())
    wake = watch.wake
    del watch
    assert len(os.listdir("/proc/self/fd")) == len(before) + 3
    wake()
    del wake

    assert os.listdir("/proc/self/fd") == before


def test_no_watch() -> None:
    """What stands for a watch after the end does nothing."""
    watch = NoWatch()
    for act in (watch.arm, watch.disarm, watch.rouse, watch.wake, watch.close):
        act()

    assert "_wakeup" not in vars(watch)


def test_wake_in_another_process(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finaliser in a forked process wakes no thread of the process that it was forked from."""
    monkeypatch.setattr(os, "getpid", lambda: 0)
    watch.wake()
    monkeypatch.undo()
    readable, _ = wait(watch._reading, -1, 0)

    assert not readable


def test_wakes_are_taken_together(watch: Watch) -> None:
    """Any number of wakes, so far as the pipe holds them at once, end one wait; then the thread sleeps again."""
    for _ in range(4096):
        watch.wake()
    watch.wait(0)
    readable, _ = wait(watch._reading, -1, 0)

    assert not readable


def test_report_beside_a_wake(watch: Watch, pair: tuple[socket.socket, socket.socket]) -> None:
    """Bytes that come together with a wake are reported."""
    pair[1].send(b"x")
    watch.arm()
    watch.wake()

    assert watch.wait(PATIENCE)
    assert not watch.wait(0)


def test_end_of_the_stream(watch: Watch, pair: tuple[socket.socket, socket.socket]) -> None:
    """The end of the stream is reported like bytes, and only while the watch is armed."""
    pair[1].shutdown(socket.SHUT_WR)

    assert not watch.wait(0)
    watch.arm()
    assert watch.wait(PATIENCE)


def test_connection_that_hangs_up(watch: Watch, pair: tuple[socket.socket, socket.socket]) -> None:
    """A connection that hangs up is not reported again and again to a thread that cannot read it."""
    pair[1].close()
    watch.wait(0)

    assert not watch.wait(0)


def test_closed_watch(watch: Watch) -> None:
    """A watch that was closed has no descriptors, wakes nothing, and may be closed again."""
    descriptors = [watch._wakeup._reading.fileno(), watch._wakeup._writing.fileno()]
    for _ in range(2):
        watch.close()

    assert watch._wakeup.fileno() == -1
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


@pytest.mark.parametrize("make", [Watch, PollWatch])
def test_descriptors_do_not_block(make: type[Watch], pair: tuple[socket.socket, socket.socket]) -> None:
    """Neither waking nor being woken ever blocks."""
    watch = make(pair[0].fileno())

    assert not os.get_blocking(watch._reading)
    assert not os.get_blocking(watch._wakeup._writing.fileno())


def test_watch_of_no_descriptor() -> None:
    """A watch that cannot be made leaves no descriptors."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ValueError, match="negative"):
        Watch(-1)

    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("timeout", "expected"), [(None, None), (0, 0), (1.5, 1500.0)])
def test_limits_without_epoll(
    pair: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    timeout: float | None,
    expected: float | None,
) -> None:
    """Without epoll the limit of a wait is given in milliseconds."""
    limits: list[float | None] = []
    registered: list[tuple[int, int]] = []

    class Poll:
        def register(self, descriptor: int, events: int) -> None:
            registered.append((descriptor, events))

        def poll(self, limit: float | None) -> list[tuple[int, int]]:
            limits.append(limit)
            return []

    watch = PollWatch(pair[0].fileno())
    monkeypatch.setattr(select, "poll", Poll)
    watch.wait(timeout)
    watch.arm()
    watch.wait(timeout)
    monkeypatch.undo()

    wakes = (watch._reading, select.POLLIN)
    assert limits == [expected, expected]
    assert registered == [wakes, wakes, (pair[0].fileno(), select.POLLIN)]


def test_best_watch(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has epoll that is used, elsewhere poll."""
    best = new_watch(pair[0].fileno())
    monkeypatch.setattr(watch_module, "make_epoll", None)
    other = new_watch(pair[0].fileno())
    monkeypatch.undo()

    assert (type(best), type(other)) == (Watch, PollWatch)
