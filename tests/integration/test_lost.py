"""The end of a connection: every call that waits learns of it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import CallNotSent, Client, ConnectionLost, OutcomeUnknown, RemoteException, define_common
from easycluster_protocol._wire.messages import CLOSE, Message
from helpers.client_states import break_connection
from helpers.waiting import PATIENCE, wait_until

THREADED_TOO = True
TLS_TOO = True

DEFINITIONS = """
import os
import signal
import threading

entered = []

def hang(number):
    entered.append(number)
    threading.Event().wait()

def die():
    os._exit(3)

def add(a, b):
    return a + b
"""


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


def start_waiting(pool: ThreadPoolExecutor, client: Any, count: int) -> list[Future[Any]]:
    """Let threads wait for calls that never end; on return all of them have begun there."""
    futures = [pool.submit(client.hang, number, threadid=number) for number in range(1, count + 1)]
    wait_until(lambda: set(client.eval("entered", threadid=99)) >= set(range(1, count + 1)))
    return futures


def assert_lost(error: BaseException | None, text: str = "") -> None:
    """Check that an error is what a lost connection raises."""
    assert isinstance(error, (CallNotSent, OutcomeUnknown))
    assert isinstance(error, ConnectionLost)
    assert isinstance(error, OSError)
    assert isinstance(error, EOFError)
    assert text in str(error)


def kill_worker(client: Any) -> None:
    """Kill the server's process from outside."""
    os.kill(client.eval("os.getpid()", threadid=98), signal.SIGKILL)


def reset(client: Any) -> None:
    """Break the connection itself, as a network does."""
    break_connection(client)


@pytest.mark.parametrize("breaking", [kill_worker, reset])
def test_every_waiting_call_raises(client: Any, breaking: Callable[[Any], None]) -> None:
    """When the connection is lost, every call that waits raises, and so does each that follows."""
    in_flight = [client.hang(0, nonblocking=True, threadid=50 + number) for number in range(3)]
    with ThreadPoolExecutor(4) as pool, client:
        futures = start_waiting(pool, client, 4)
        name = client.peername
        breaking(client)
        errors = [future.exception(PATIENCE) for future in futures]

        assert not client.connected
        with pytest.raises(ConnectionLost):
            client.add(1, 2)
        with pytest.raises((ConnectionLost, TypeError)):  # a ThreadedClient has no such method
            client.read_response()
    for error in errors:
        assert_lost(error, name)
    assert len(set(map(id, errors))) == 4
    for response in in_flight:
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                response.wait()


def test_server_process_exits(client: Any) -> None:
    """A function that ends the server's process is a lost connection."""
    with pytest.raises(ConnectionLost) as caught:
        client.die()

    assert_lost(caught.value, client.peername)


def test_lost_connection_is_not_reported(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """No remote stack trace is printed for it, and `origexc=False` does not wrap it."""
    with pytest.raises(ConnectionLost):
        client.die(origexc=False)

    assert "Traceback" not in capsys.readouterr().err


def test_onerror_of_a_lost_connection(client: Any) -> None:
    """Completion functions of calls in flight get the error, too, in a RemoteException as any other."""
    seen: list[Any] = []
    response = client.hang(1, onerror=seen.append, threadid=1)
    client.hang(2, oncomplete=seen.append, threadid=2)
    reset(client)

    with pytest.raises(ConnectionLost):
        response.wait()

    wait_until(lambda: len(seen) == 2)  # a ThreadedClient calls them in the background
    for error in seen:
        assert isinstance(error, RemoteException)
        assert error.text == [f"OutcomeUnknown: {error.orig}\n"]
        assert_lost(error.orig)


def test_lost_while_sending(client: Any) -> None:
    """A call whose arguments are on their way when the connection is lost raises, too."""
    pid = client.os.getpid()
    with ThreadPoolExecutor(1) as pool, client:
        os.kill(pid, signal.SIGSTOP)
        sending = pool.submit(client.add, b"x" * 64_000_000, b"")
        # Stopped, it reads nothing: the call cannot be over, wherever it is by now.
        os.kill(pid, signal.SIGKILL)
        error = sending.exception(PATIENCE)

    assert_lost(error)


def test_reconnect_after_loss(client: Any, transport: Any) -> None:
    """A lost connection can be made anew."""
    with pytest.raises(ConnectionLost):
        client.die()
    if transport.name == "local":
        return

    client.reconnect()

    assert client.add(1, 2) == 3


def test_close_wakes_waiting_threads(client: Any) -> None:
    """Closing from another thread wakes every call that waits, with the message given to `close`."""
    in_flight = client.hang(0, nonblocking=True, threadid=50)
    with ThreadPoolExecutor(4) as pool, client:
        futures = start_waiting(pool, client, 4)
        client.close("closed by the test")
        errors = [future.exception(PATIENCE) for future in futures]

    for error in errors:
        assert_lost(error, "closed by the test")
    with pytest.raises(ConnectionLost, match="closed by the test"):
        in_flight.wait()


def test_close_says_so(client: Any) -> None:
    """The message is "Connection closed" when `close` is given none."""
    response = client.hang(0, nonblocking=True)

    client.close()

    with pytest.raises(ConnectionLost, match=r"^Connection closed$"):
        response.wait()


def test_close_comes_with_a_call(tmp_path: Path) -> None:
    """A call that the server receives together with the end of the connection is not begun."""
    path = tmp_path / "begun"
    client = easycluster.server.spawn_local()
    pid = client.os.getpid()
    os.kill(pid, signal.SIGSTOP)
    client.open(str(path), "w", nonblocking=True)
    client._easycluster_calls.session._channel.send_at_once(Message(CLOSE))

    os.kill(pid, signal.SIGCONT)

    client.close()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert not path.exists()


def test_close_in_the_main_thread_of_calls(client: Any) -> None:
    """Closing also ends a call of the server's main thread."""
    with ThreadPoolExecutor(1) as pool, client:
        future = pool.submit(client.hang, 1)
        wait_until(lambda: client.eval("entered", threadid=1) == [1])
        client.close()
        assert_lost(future.exception(PATIENCE), "Connection closed")


def test_answer_before_the_end(client: Any) -> None:
    """An answer that came before the connection was lost can still be had."""
    early = client.add(1, 2, nonblocking=True)
    client.add(3, 4)

    reset(client)
    with pytest.raises(ConnectionLost):
        client.add(5, 6)

    assert early.wait() == 3


def test_close_twice_at_once(client: Any) -> None:
    """Two threads may close a client at once, while others call."""
    begin = threading.Barrier(4)

    def run(action: Callable[[], Any]) -> Any:
        begin.wait()
        return action()

    with ThreadPoolExecutor(4) as pool:
        closing = [pool.submit(run, client.close) for _ in range(2)]
        calling = [pool.submit(run, lambda: client.add(1, 2)) for _ in range(2)]
        assert [future.result(PATIENCE) for future in closing] == [None, None]
        for future in calling:
            error = future.exception(PATIENCE)
            if error is None:
                assert future.result() == 3
            else:
                assert_lost(error)


def test_new_client_after_loss(client: Any, connect: Any) -> None:
    """Other connections do not notice."""
    other: Client = connect()
    with pytest.raises(ConnectionLost):
        client.die()

    assert other.add(1, 2) == 3
