"""Functions that are declared by ``async def``, and the environment as a value."""

from __future__ import annotations

import os
from typing import Any

import pytest

from easycluster import define_common

TLS_TOO = True

DEFINITIONS = """
import asyncio, os
from easycluster import *

async def double(value):
    await asyncio.sleep(0)
    return value * 2

async def fork():
    if os.fork() == 0:
        return None
    os.wait()
    return "parent"

async def set_up():
    global lock
    lock = asyncio.Lock()
    await lock.acquire()

async def is_locked():
    asyncio.get_running_loop().call_soon(lock.release)
    async with lock:
        return True

class Board(ServerObject):
    async def measure(self, value):
        return [self, await double(value)]

def kind(value):
    return type(value).__name__, dict(value) == value
"""


@pytest.fixture
def host(transport: Any) -> Any:
    """A client that has the definitions."""
    define_common(DEFINITIONS)
    with transport.connect() as client:
        yield client


def test_coroutine_functions(host: Any) -> None:
    """The call returns the value of the coroutine, in whatever thread and way it is made."""
    assert host.double(5) == 10
    assert host.double(5, nonblocking=True, threadid=7).result() == 10
    board = host.Board()
    same, value = board.measure(3)
    assert (same == board, value) == (True, 6)
    with pytest.raises(TypeError):
        host.double(None)
    assert host.eval("double(4)") == 8


def test_coroutine_that_forks(host: Any) -> None:
    """A process that a coroutine forked ends with it: it says nothing about the connection."""
    assert host.fork() == "parent"
    board = host.Board()
    assert host.eval("__import__('time').sleep(1)") is None  # the guardian would end a lost server meanwhile
    assert board.measure(3)[1] == 6


def test_loop_is_kept(host: Any) -> None:
    """What one coroutine has made works in the next call."""
    host.set_up()

    assert host.is_locked()


def test_environment(host: Any) -> None:
    """The environment is a dict at the other end, in either direction."""
    for environment in (host.os.environ.value, host.eval("[os.environ]")[0]):
        assert type(environment) is dict
        assert "PATH" in environment
    assert tuple(host.kind(os.environ)) == ("dict", True)
