"""Results that go by value although nothing was sent by value before: the same the first time and later."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import CallTimeout, Client, OutcomeUnknown, ThreadedClient, define_common
from easycluster_protocol.errors import DeserializationError, SerializationError
from helpers.pythons import every_python, find_pythons
from helpers.server_objects import KEPT, kept
from helpers.sshd import Sshd
from helpers.waiting import wait_until

TLS_TOO = True

DEFINITIONS = """
import collections, threading, time, typing

def closure(x):
    return [lambda y: x + y]

def instance():
    class Local:
        def __init__(self, x):
            self.x = x
        def double(self):
            return 2 * self.x
    return {'it': Local(4)}

def named():
    class Named(typing.NamedTuple):
        x: int
        def double(self):
            return 2 * self.x
    return Named(5)

def keys():
    return {'a': 1}.keys()

def locked():
    return [lambda: 1, threading.Lock()]

def fail_locally():
    class Local(KeyError):
        def double(self):
            return 2 * self.args[1]
    try:
        1 / 0
    except ZeroDivisionError:
        raise Local('text', 4)

def fail_with_a_function():
    raise ValueError(lambda x: x + 1)

def fail_with_a_local_cause():
    try:
        fail_locally()
    except KeyError as error:
        raise ValueError('caused') from error

def fail_with_a_lock():
    raise ValueError(threading.Lock(), [lambda: 1])

event = threading.Event()

def wait():
    event.wait()
    return closure(3)
"""

KINDS: dict[str, Callable[[Any], Any]] = {
    "closure": lambda value: value[0](2),
    "instance": lambda value: value["it"].double(),
    "named": lambda value: (value, value.x, value.double()),
    "keys": list,
}


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_and_later(client: Any, kind: str) -> None:
    """A result that needs cloudpickle arrives as the first of a connection as it does after a lambda was sent."""
    args = (3,) if kind == "closure" else ()

    first = KINDS[kind](client.call(kind, *args))
    client.call(lambda: 5)
    later = KINDS[kind](client.call(kind, *args))

    assert first == later
    if kind == "keys":
        assert first == ["a"]
    kept(client, 0)


def test_what_cannot_be_sent(client: Any) -> None:
    """What no pickle can hold is the same error each time, and names the function."""
    texts = []
    for _ in range(2):
        with pytest.raises(
            SerializationError, match=r"^the result of locked cannot be sent: TypeError"
        ) as caught:
            client.locked(origexc="quiet")
        texts.append(str(caught.value))

    assert texts[0] == texts[1]
    kept(client, 0)


def raised(client: Any, name: str) -> Any:
    """The exception that a function of the host raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- the tests look at it
        client.call(name, origexc="quiet")
    return caught.value


def test_exceptions(client: Any) -> None:
    """An exception of a local class, or that holds a function, is the same the first time and later."""
    for _ in range(2):
        error = raised(client, "fail_locally")
        assert (type(error).__name__, error.args, error.double()) == ("Local", ("text", 4), 8)
        assert isinstance(error, KeyError)
        assert type(error.__context__) is ZeroDivisionError
        assert "in fail_locally" in str(error.__cause__)
        held = raised(client, "fail_with_a_function")
        assert held.args[0](2) == 3
        cause = raised(client, "fail_with_a_local_cause")
        assert (type(cause), cause.__cause__.double()) == (ValueError, 8)
    del error, held, cause

    kept(client, 0)


def test_exceptions_that_lose_something(client: Any) -> None:
    """An exception that holds a lock has its text in both cases, and costs nothing that stays."""
    texts = [re.sub("0x[0-9a-f]+", "", repr(raised(client, "fail_with_a_lock").args)) for _ in range(2)]

    assert texts[0] == texts[1]
    assert "lock" in texts[0]
    kept(client, 0)


def test_while_the_server_is_busy(client: Any) -> None:
    """Asking for such a result waits for no thread of the server: the thread that made it may be busy again."""
    first = client.closure(1, nonblocking=True)
    busy = client.wait(nonblocking=True)

    assert first.wait()[0](1) == 2
    assert not busy.have_response
    client.event.set(threadid=3)
    assert busy.wait()[0](1) == 4


def test_time_limit(client: Any) -> None:
    """A time limit covers the asking for such a result too, and the result can be waited for again."""
    worker = client.os.getpid()
    response = client.closure(3, nonblocking=True)
    while not response.have_response:
        client.read_response()
    os.kill(worker, signal.SIGSTOP)
    try:
        with pytest.raises(CallTimeout, match="the call to closure on .* has ended, but its result"):
            response.wait(timeout=0.1)
    finally:
        os.kill(worker, signal.SIGCONT)

    assert response.wait()[0](4) == 7


@pytest.mark.parametrize("clientclass", [Client, ThreadedClient])
def test_completions(connect: Any, clientclass: Any) -> None:
    """Completion functions get the result, and errors as always."""
    define_common(DEFINITIONS)
    client = connect(clientclass)
    found: list[Any] = []

    client.closure(3, oncomplete=lambda value: found.append(value[0](4)))
    client.locked(onerror=lambda error: found.append(type(error.orig)))
    if clientclass is Client:
        while len(found) < 2:
            client.read_response()
    wait_until(lambda: len(found) == 2)

    assert 7 in found
    assert SerializationError in found


def test_unread(client: Any) -> None:
    """A result that nobody asks for is dropped with its response."""
    response = client.closure(3, nonblocking=True)
    while not response.have_response:
        client.read_response()
    assert client.eval(KEPT) == 1
    del response

    kept(client, 0)


def test_after_the_end(spawn: Callable[..., Any]) -> None:
    """When the connection has ended before the result was asked for, that is the error, and the call has run."""
    define_common(DEFINITIONS)
    client = spawn()
    response = client.closure(3, nonblocking=True)
    while not response.have_response:
        client.read_response()
    client.close()

    with pytest.raises(
        OutcomeUnknown, match="the call of closure on .* has ended, but its result is lost"
    ) as lost:
        response.wait()
    assert (lost.value.started, lost.value.reason) == (True, "closed")


def test_end_while_the_result_is_asked_for(spawn: Callable[..., Any]) -> None:
    """When the connection ends while the result is asked for, the call has run just so."""
    define_common(DEFINITIONS)
    client = spawn()
    response = client.closure(3, nonblocking=True)
    while not response.have_response:
        client.read_response()
    pid = client.call("os.getpid")
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(CallTimeout):
        response.wait(timeout=0.05)
    os.kill(pid, signal.SIGKILL)

    with pytest.raises(OutcomeUnknown, match="has ended, but its result is lost") as lost:
        response.wait()
    assert lost.value.started is True


def test_numbers_of_others(client: Any) -> None:
    """Only results that were kept are given in this way."""
    proxy = client.open("/dev/null")

    with pytest.raises(TypeError, match="is not a result that was kept"):
        client._easycluster_calls.operation(
            "get_result", (proxy.proxy_object_id, False), {"origexc": "quiet"}
        )
    with pytest.raises(ReferenceError):
        client._easycluster_calls.operation("get_result", (999, False), {"origexc": "quiet"})


@pytest.mark.needs_sshd
@every_python()
def test_other_pythons(sshd: Sshd, version: str) -> None:
    """Under another Python, whose code cannot run here, it is the same clear error each time."""
    define_common(DEFINITIONS)
    way: Any = {"host": "h", "ssh": True, "rpython": find_pythons()[version], "extra_args": sshd.options}
    with Client(**way) as client:
        if version == f"3.{sys.version_info[1]}":
            assert client.closure(1)[0](2) == 3
            return
        texts = set()
        for _ in range(2):
            with pytest.raises((SerializationError, DeserializationError)) as caught:
                client.closure(1, origexc="quiet")
            texts.add(str(caught.value).split(" at 0x")[0])
        assert len(texts) == 1
        assert "the result of closure" in texts.pop()
        if version not in {"3.6", "3.7"}:
            assert list(client.keys()) == ["a"]


INTERRUPTED = """
import os, signal, sys, time

def make(master, path, fails):
    class Local(Exception):
        def __reduce__(self):
            if 'cloudpickle' in sys.modules and not os.path.exists(path):
                os.kill(master, signal.SIGUSR1)
                while not os.path.exists(path):
                    time.sleep(0.01)
            return Local, (4,)
    if fails:
        raise Local(4)
    return Local(4)
"""


class Interrupted(Exception):
    """Raised by a signal handler."""


@pytest.mark.parametrize("fails", [False, True])
def test_interrupt_while_the_result_comes(connect: Any, tmp_path: Path, fails: bool) -> None:
    """A signal handler that raises while a late result is on its way loses nothing."""
    path = tmp_path / "interrupted"

    def interrupt(*_: object) -> None:
        path.touch()
        raise Interrupted

    define_common(INTERRUPTED)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        response = connect().call("make", os.getpid(), str(path), fails, nonblocking=True, origexc="quiet")
        with pytest.raises(Interrupted):
            response.wait()
        found = response.exception() if fails else response.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (type(found).__name__, found.args) == ("Local", (4,))
