"""What the background thread sleeps on, with epoll and without."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from easycluster_client._session.watch import NoWatch, PollWatch, Watch
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
    while not watch._take_wakes([]) and watch._pipe and _is_readable(watch._reading):
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

    assert not watch._pipe
