"""How connections of a ThreadedClient end: a silent server, close, drop."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import ConnectionLost, ThreadedClient, define_common
from easycluster_server._system.posix.proc import read_process
from helpers.pipes import Pipe
from helpers.servers import Server
from helpers.sshd import Sshd
from helpers.waiting import PATIENCE, wait_until

REMOTE = '''
import os, threading

def hang():
    threading.Event().wait()

def add(a, b):
    return a + b

def wait_for(path):
    """Wait until somebody writes a letter to the pipe, and return it."""
    with open(path, "rb", 0) as file:
        return file.read(1).decode()
'''


@pytest.fixture(autouse=True)
def remote(no_leaks: None) -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


def spawn(**options: Any) -> Any:
    """A local ThreadedClient."""
    return easycluster.server.spawn_local(lambda: ThreadedClient(**options))


@pytest.fixture(scope="session", params=["tcp_server", "tls_server"])
def server(request: pytest.FixtureRequest) -> Any:
    """A standalone server, with or without TLS."""
    return request.getfixturevalue(request.param)


@contextmanager
def stopped(client: Any) -> Iterator[None]:
    """The server's processes do nothing, as on a host that hangs."""
    pid = client.os.getpid()
    worker = read_process(pid)
    assert worker is not None
    pids = (worker.parent, pid)
    for each in pids:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in pids:
            os.kill(each, signal.SIGCONT)


# Keep-alive.


def test_silent_server(server: Server, key: bytes) -> None:
    """A server that says nothing for too long is given up, and every waiting call says so."""
    client: Any = ThreadedClient(
        key, "127.0.0.1", server.port, keep_alive_interval=0.05, keep_alive_timeout=0.5
    )
    errors: list[Any] = []
    with client, ThreadPoolExecutor(3) as pool, stopped(client):
        calls = [pool.submit(client.add, 1, 2) for _ in range(3)]
        client.add(1, 2, onerror=errors.append)
        raised = [call.exception(PATIENCE) for call in calls]
        with pytest.raises(OSError, match="Remote server not responding"):
            client.add(1, 2)
        wait_until(lambda: errors)

    for error in [*raised, errors[0].orig]:
        assert isinstance(error, ConnectionLost)
        assert str(error) == (
            f"Remote server not responding (127.0.0.1:{server.port}): its host answers, but neither the process nor"
            " the server there does; call reconnect() to connect again; the call of add was sent, and may have been run"
        )


def test_silent_server_that_takes_nothing(server: Server, key: bytes) -> None:
    """A caller that cannot send on, because the server takes nothing, is woken as well."""
    client: Any = ThreadedClient(
        key, "127.0.0.1", server.port, keep_alive_interval=0.05, keep_alive_timeout=0.5
    )
    with client, stopped(client), pytest.raises(ConnectionLost, match="Remote server not responding"):
        client.add(bytes(50_000_000), b"")


def test_long_call_is_kept_alive(server: Server, key: bytes, tmp_path: Path) -> None:
    """A call that lasts longer than the limit, with nothing else on the line, goes on."""
    options: Any = {"keep_alive_interval": 0.05, "keep_alive_timeout": 2}
    with ThreadedClient(key, "127.0.0.1", server.port, **options) as opened, Pipe(tmp_path / "pipe") as pipe:
        client: Any = opened
        session = client._easycluster_calls.session
        response = client.wait_for(pipe.path, nonblocking=True)
        begin = session.heard_at
        wait_until(lambda: session.heard_at > begin + 2.5)
        assert client.connected
        pipe.write("a")

        assert response.wait() == "a"


def test_keep_alive_that_is_off() -> None:
    """Without an interval nothing is asked, and without a timeout nobody is given up."""
    for options in ({"keep_alive_interval": None, "keep_alive_timeout": 0.01}, {"keep_alive_timeout": None}):
        with spawn(**options) as client:
            keep_alive, session = (
                client._easycluster_calls.session.keep_alive,
                client._easycluster_calls.session,
            )
            session.heard_at -= 1000
            keep_alive.check(session)
            assert client.connected
            assert client.add(1, 2) == 3


@pytest.mark.parametrize("name", ["keep_alive_interval", "keep_alive_timeout"])
@pytest.mark.parametrize("value", [0, -1, "10", float("nan")])
def test_settings_that_make_no_sense(name: str, value: Any) -> None:
    """They are refused before anything is connected."""
    with pytest.raises(ValueError, match=name):
        ThreadedClient(**{name: value})


# Closing and dropping.


def test_close_from_another_thread() -> None:
    """Every call that waits, and every completion function, gets the text of close()."""
    client = spawn()
    errors: list[Any] = []
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.hang) for _ in range(4)]
        client.hang(onerror=errors.append, threadid=9)
        wait_until(lambda: len(client._easycluster_calls.session._calls.by_number) == 5)
        client.close("enough of this")
        raised = [call.exception(PATIENCE) for call in calls]
    wait_until(lambda: errors)

    assert [str(error) for error in [*raised, errors[0].orig]] == ["enough of this"] * 5


def test_close_just_when_the_background_thread_is_about_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion functions of what close() ends are called, also when the thread that calls them has just looked."""
    client = spawn()
    session = client._easycluster_calls.session
    client.add(1, 2)
    seen: list[Any] = []
    arm = session.arm

    def close_then() -> None:
        if seen == ["about to wait"]:
            seen.append("closing")
            client.close("enough of this")
        arm()

    client.hang(oncomplete=seen.append, threadid=9)
    monkeypatch.setattr(session, "arm", close_then)
    seen.append("about to wait")
    session.watch.wake()
    wait_until(lambda: len(seen) == 3)

    assert str(seen[2].orig) == "enough of this"


def test_close_in_a_completion_function() -> None:
    """A completion function may close its client."""
    client = spawn()
    closed = threading.Event()

    def close(value: int) -> None:
        client.close()
        closed.set()

    client.hang(nonblocking=True, threadid=1)
    client.add(1, 2, oncomplete=close)

    assert closed.wait(PATIENCE)
    assert not client.connected


def test_dropped_client() -> None:
    """When the last reference goes so do thread, connection and server, although calls are open."""
    client = spawn()
    client.hang(nonblocking=True, threadid=1)
    pid = client.os.getpid()
    ref = weakref.ref(client)
    del client
    gc.collect()

    wait_until(lambda: ref() is None and not Path(f"/proc/{pid}").exists())
    wait_until(lambda: "easycluster-background" not in {thread.name for thread in threading.enumerate()})


def test_reconnect(tcp_server: Server, key: bytes) -> None:
    """A new connection serves the threads that used the old one."""
    with ThreadedClient(key, "127.0.0.1", tcp_server.port) as opened, ThreadPoolExecutor(1) as pool:
        client: Any = opened
        assert pool.submit(client.add, 1, 2).result(PATIENCE) == 3
        client.reconnect()
        assert pool.submit(client.add, 1, 2).result(PATIENCE) == 3
        done = threading.Event()
        client.add(1, 2, oncomplete=lambda value: done.set())
        assert done.wait(PATIENCE)


@pytest.mark.needs_sshd
@pytest.mark.parametrize("how", ["close", "drop"])
def test_over_ssh(sshd: Sshd, how: str) -> None:
    """Over SSH it is the same: threads, completion functions, the end by close() or by itself."""
    client: Any = ThreadedClient(host="h", ssh=True, rpython=sys.executable, extra_args=sshd.options)
    add, count = client.add, client.threading.active_count
    done = threading.Event()
    add(1, 2, oncomplete=lambda value: done.set())
    assert done.wait(PATIENCE)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(add, range(20), range(20))) == list(range(0, 40, 2))
    wait_until(lambda: count() == 1)
    if how == "close":
        client.close()
