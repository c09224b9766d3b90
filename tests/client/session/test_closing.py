"""How the master's side of a connection ends, with a server that the test plays by hand."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable

import pytest

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost
from helpers.hand_made import HandMadeServer, Waiter, start_reader
from helpers.waiting import PATIENCE, wait_until


def end_stream(server: HandMadeServer) -> None:
    """The server goes."""
    server.socket.shutdown(socket.SHUT_RDWR)


def break_rules(server: HandMadeServer) -> None:
    """The server says what it may not."""
    server.socket.sendall(bytes(100))


def close_session(server: HandMadeServer) -> None:
    """The client goes."""
    server.session.close("closed")


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (end_stream, r"the connection ended \(the server\)"),
        (break_rules, "the connection to the server cannot be used any more: the peer sent what is no frame"),
        (close_session, "closed"),
    ],
)
def test_end_of_the_connection(
    server: HandMadeServer, end: Callable[[HandMadeServer], None], text: str
) -> None:
    """Every call fails with an error of its own, also calls that are made or waited for later."""
    reader = start_reader(server)
    response = server.request()
    waiters = [reader, *(Waiter(response) for _ in range(2)), Waiter(server.request())]
    later = server.request(oncomplete=print)
    wait_until(lambda: len(server.session.turn.gates) == 3)
    end(server)
    errors = [waiter.result() for waiter in waiters]
    for again in (later.wait, server.request, lambda: server.session.read(block=False)):
        with pytest.raises(ConnectionLost, match=text) as caught:
            again()
        errors.append(caught.value)

    assert all(isinstance(error, ConnectionLost) for error in errors)
    assert len({id(error) for error in errors if error is not errors[2]}) >= 5
    assert server.session.arrived == [later]
    assert not server.session._calls.by_number


def test_call_after_the_server_has_gone(server: HandMadeServer) -> None:
    """A call that finds the server gone says so, and later ones too."""
    server.socket.close()
    for _ in range(3):
        with pytest.raises(ConnectionLost, match="the connection to the server was lost"):
            server.request().wait()


def test_close_says_goodbye(server: HandMadeServer) -> None:
    """The server learns that the end was meant, while other threads wait too."""
    reader = start_reader(server)
    server.session.close("closed")

    assert [message.kind for message in server.receive(2)] == [m.CALL, m.CLOSE]
    assert isinstance(reader.result(), ConnectionLost)
    assert not os.path.exists(f"/proc/self/fd/{server.session.transport.fileno()}")


def test_close_waits_for_answers_under_way(server: HandMadeServer) -> None:
    """A close takes in what is still on its way, for a reset would look like a loss to the server."""
    response = server.request()
    done = threading.Event()

    def serve() -> None:
        server.receive(2)
        server.answer(response, value=bytes(3_000_000))
        server.socket.shutdown(socket.SHUT_WR)
        done.set()

    thread = threading.Thread(target=serve)
    thread.start()
    server.session.close("closed")
    thread.join(PATIENCE)

    assert done.is_set()


def test_answers_after_close_do_not_count(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call raises because closing interrupted it is no answer: the call ends with the text of the close."""
    response = server.request()
    message = Message(m.RESULT, response.request_id, pickle.dumps("interrupted"))
    say_goodbye = server.session._end._say_goodbye

    def answer_then_say_goodbye(outstanding: bool) -> None:
        server.session._deliver(message)
        say_goodbye(outstanding)

    monkeypatch.setattr(server.session._end, "_say_goodbye", answer_then_say_goodbye)
    server.session.close("closed by hand")

    with pytest.raises(ConnectionLost, match="closed by hand"):
        response.wait()
