from __future__ import annotations

import os

import pytest

from easycluster_server._system.posix.waiting import Wakeup, wait_for_any


def test_wakeup() -> None:
    """It can be read once it was woken, however often, until it is drained."""
    wakeup = Wakeup()
    assert wait_for_any([wakeup.fileno()], 0) == []
    for _ in range(100_000):  # more than a pipe takes
        wakeup.wake()
    assert wait_for_any([wakeup.fileno()], None) == [wakeup.fileno()]
    while wait_for_any([wakeup.fileno()], 0):
        wakeup.drain()
    wakeup.drain()
    wakeup.close()
    wakeup.wake()
    wakeup.close()

    assert wakeup.fileno() == -1


def test_dropped_wakeup() -> None:
    """One that an interrupt has kept from being closed closes itself when nobody has it any more."""
    wakeup = Wakeup()
    number = wakeup.fileno()
    del wakeup

    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_waiting_for_several() -> None:
    """Those that can be read, or whose other end has gone, are named; the others are not."""
    pipes = [os.pipe() for _ in range(3)]
    os.write(pipes[0][1], b"x")
    os.close(pipes[1][1])
    readable = wait_for_any([reading for reading, _ in pipes], -1.5)
    for descriptor in (*pipes[0], pipes[1][0], *pipes[2]):
        os.close(descriptor)

    assert readable == [pipes[0][0], pipes[1][0]]
