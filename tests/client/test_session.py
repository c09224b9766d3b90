"""The master's side of a connection, with a server that the test plays by hand."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client import _session, _turns
from easycluster_client._response import NonblockingResponse
from easycluster_client._session import ClientSession
from easycluster_protocol import _messages as m
from easycluster_protocol._messages import Message
from easycluster_protocol.errors import ConnectionLost, LocalProtocolError
from easycluster_server._transport import SocketTransport, wait
from helpers.pair import LinkPair, take_messages
from helpers.waiting import PATIENCE, wait_until


class Server:
    """The other end of a session.

    Attributes:
        session: the session under test.
        received: the messages that it sent.
    """

    def __init__(self) -> None:
        links = LinkPair()
        ours, self.socket = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self._link = links.server
        self.received: list[Message] = []
        self.session = ClientSession(links.client, SocketTransport(ours), "the server")
        self._client: Any = SimpleNamespace(peername="the server", _easycluster=self)

    def run_completions(self, session: ClientSession) -> int:
        """Stands for that of a client; this one puts them off for ever."""
        return -1 if session.arrived else 0

    def request(self, body: Any = b"", **options: Any) -> NonblockingResponse:
        """Make a call; return its response."""
        response = NonblockingResponse(self._client, "f", options)
        self.session.request(response, m.CALL, body, (), 0)
        return response

    def receive(self, count: int) -> list[Message]:
        """Receive until so many messages have come."""
        while len(self.received) < count:
            data = self.socket.recv(1 << 20)
            assert data
            self._link.receive_data(data)
            self.received += take_messages(self._link)
        return self.received

    def send(self, *messages: Message) -> None:
        """Send messages."""
        self.socket.sendall(b"".join(map(self._link.data_to_send, messages)))

    def answer(self, *responses: NonblockingResponse, value: Any = "value") -> None:
        """Answer calls, all at once."""
        body = pickle.dumps(value)
        self.send(*(Message(m.RESULT, response.request_id, body) for response in responses))

    def close(self) -> None:
        """End everything."""
        self.socket.close()
        self.session.close("closed by the test")


@pytest.fixture
def server() -> Iterator[Server]:
    """The other end."""
    server = Server()
    yield server
    server.close()


class Waiter(threading.Thread):
    """A thread that waits for an answer."""

    def __init__(self, response: NonblockingResponse) -> None:
        super().__init__()
        self.outcome: Any = None
        self._response = response
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self._response.wait()
        except Exception as error:
            self.outcome = error

    def result(self) -> Any:
        """Wait for its end; return what came of it."""
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.outcome


def start_reader(server: Server) -> Waiter:
    """A thread that leads: it reads, and for the others too."""
    waiter = Waiter(server.request())
    wait_until(server.session._reading.locked)
    return waiter


# Turns.


def test_threads_share_the_reading(server: Server) -> None:
    """One thread reads for all; each gets its own answer, in whatever order they come."""
    first = start_reader(server)
    responses = [server.request() for _ in range(5)]
    waiters = [Waiter(response) for response in responses]
    wait_until(lambda: len(server.session._gates) == 5)
    for number in (3, 0, 4):
        server.answer(responses[number], value=number)
    early = [waiters[number].result() for number in (3, 0, 4)]
    server.answer(first._response, value="first")
    late = [first.result()]
    for number in (2, 1):
        server.answer(responses[number], value=number)
        late.append(waiters[number].result())

    assert early == [3, 0, 4]
    assert late == ["first", 2, 1]
    assert not server.session._gates
    assert not server.session._turn


def test_threads_that_wait_for_the_same_answer(server: Server) -> None:
    """Any number of threads may wait for one response, whoever reads."""
    start_reader(server)
    response = server.request()
    waiters = [Waiter(response) for _ in range(4)]
    wait_until(lambda: len(server.session._gates) == 4)
    server.answer(response)

    assert [waiter.result() for waiter in waiters] == ["value"] * 4


def test_thread_that_does_not_come_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the thread whose turn it is was kept from handing it over, another one takes it after a while."""
    monkeypatch.setattr(_turns, "_LOOK_AFTER", 0.01)
    server.session._turn[0] = -1
    response = server.request()
    waiter = Waiter(response)
    server.answer(response)

    assert waiter.result() == "value"


def test_thread_that_reads_for_long(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that really reads keeps its turn, however long nothing comes."""
    monkeypatch.setattr(_turns, "_LOOK_AFTER", 0.001)
    reader = start_reader(server)
    response = server.request()
    waiter = Waiter(response)
    waiter.join(0.1)
    whose = server.session._turn.get(0)
    server.answer(response)
    waiter.result()

    assert whose == reader.ident
    assert server.session._turn.get(0) == reader.ident


@pytest.mark.parametrize("block", [True, False])
def test_reading_without_waiting_for_an_answer(server: Server, block: bool) -> None:
    """`read` takes in what is there, but not while another thread reads."""
    response = server.request()
    if not block:
        assert not server.session.read(block=False)
    server.answer(response)
    wait_until(lambda: server.session.read(block=block))
    start_reader(server)

    assert response.have_response
    assert not server.session.read(block=block)


def test_signal_handler_that_waits(server: Server) -> None:
    """A handler that waits for an answer while its own thread reads gets an error, and does not hang."""
    session = server.session
    session._turn[0] = threading.get_ident()
    session._reader = threading.get_ident()
    response = server.request()
    with session._reading, pytest.raises(RuntimeError, match="a signal handler cannot wait"):
        response.wait()
    session._reader = 0
    server.answer(response)

    assert response.wait() == "value"


class Gate:
    """Is told what a thread is told that waits for several connections."""

    def __init__(self) -> None:
        self.releases = 0

    def release(self) -> None:
        self.releases += 1


def test_lead_that_is_offered_to_who_leaves(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who listens may be offered the lead; when it leaves instead, the next thread leads."""
    monkeypatch.setattr(_turns, "_LOOK_AFTER", 2 * PATIENCE)
    session = server.session
    session._turn[0] = -1
    gate = Gate()
    leads = session.listen(gate)
    response = server.request()
    waiter = Waiter(response)
    wait_until(lambda: len(session._gates) == 2)
    session._turn.clear()
    session._open_next()
    released = gate.releases
    session.forget(gate)
    server.answer(response)

    assert (leads, released, waiter.result()) == (False, 1, "value")


def test_end_of_the_time_of_a_thread_that_waits(server: Server) -> None:
    """A wait with a limit ends when another thread reads, too, and leaves no gate behind."""
    start_reader(server)
    response = server.request()
    server.session.wait(response, deadline=0.0)

    assert not response.have_response
    assert len(server.session._gates) == 0


# Sending.


def test_sender_reads_when_nobody_else_does(server: Server) -> None:
    """A thread that cannot send begins to read when the thread that read has its answer, or both ends would be stuck."""
    reader = start_reader(server)
    large = server.request()
    blocked = threading.Event()

    def serve() -> None:
        # This server reads nothing more until its own answers are gone.
        blocked.wait(PATIENCE)
        server.answer(reader._response)
        reader.result()
        server.answer(large, value=bytes(20_000_000))
        server.receive(3)

    thread = threading.Thread(target=serve)
    thread.start()

    def note_wait(*arguments: Any) -> tuple[bool, bool]:
        blocked.set()
        return wait(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_session, "wait", note_wait)
        server.request(bytes(20_000_000))
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert large.wait() == bytes(20_000_000)


def test_call_that_no_message_can_carry(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that cannot be sent raises, and costs nothing else."""
    monkeypatch.setattr("easycluster_protocol._messages.MAX_TABLE", 1)
    response = NonblockingResponse(server._client, "f", {})
    with pytest.raises(LocalProtocolError):
        server.session.request(response, m.CALL, b"", [bytes(40_000)] * 2, 0)
    other = server.request()
    server.answer(other)

    assert other.wait() == "value"
    assert not server.session._pending


@pytest.mark.parametrize("where", ["send", "receive"])
def test_timeout_error_of_a_signal_handler(
    server: Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A handler that raises TimeoutError, which is an OSError, abandons its call and not the connection."""

    def late(*arguments: Any) -> None:
        raise TimeoutError("too late")

    response = server.request()
    monkeypatch.setattr(server.session._channel, where, late)
    with pytest.raises(TimeoutError, match="too late"):
        server.request().wait()
    monkeypatch.undo()
    server.answer(response)

    assert response.wait() == "value"
    assert server.session.error is None


# Receiving.


def test_answer_that_is_delivered_twice(server: Server) -> None:
    """A repetition, as after an interrupt, completes a call once and changes nothing."""
    response = server.request(oncomplete=print)
    message = Message(m.RESULT, response.request_id, pickle.dumps(1))
    for _ in range(2):
        server.session._deliver(message)
    server.session._deliver(Message(m.RESULT, 99, pickle.dumps(2)))

    assert server.session.arrived == [response]
    assert response.wait() == 1


def test_ping(server: Server) -> None:
    """A ping is answered when it is read."""
    server.send(Message(m.PING, 7))
    server.session.read(block=True)

    assert server.receive(1) == [Message(m.PONG, 7)]


# The end.


def end_stream(server: Server) -> None:
    """The server goes."""
    server.socket.shutdown(socket.SHUT_RDWR)


def break_rules(server: Server) -> None:
    """The server says what it may not."""
    server.socket.sendall(bytes(100))


def close_session(server: Server) -> None:
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
def test_end_of_the_connection(server: Server, end: Callable[[Server], None], text: str) -> None:
    """Every call fails with an error of its own, also calls that are made or waited for later."""
    reader = start_reader(server)
    response = server.request()
    waiters = [reader, *(Waiter(response) for _ in range(2)), Waiter(server.request())]
    later = server.request(oncomplete=print)
    wait_until(lambda: len(server.session._gates) == 3)
    end(server)
    errors = [waiter.result() for waiter in waiters]
    for again in (later.wait, server.request, lambda: server.session.read(block=False)):
        with pytest.raises(ConnectionLost, match=text) as caught:
            again()
        errors.append(caught.value)

    assert all(isinstance(error, ConnectionLost) for error in errors)
    assert len({id(error) for error in errors if error is not errors[2]}) >= 5
    assert server.session.arrived == [later]
    assert not server.session._pending


def test_call_after_the_server_has_gone(server: Server) -> None:
    """A call that finds the server gone says so, and later ones too."""
    server.socket.close()
    for _ in range(3):
        with pytest.raises(ConnectionLost, match="the connection to the server was lost"):
            server.request().wait()


def test_close_says_goodbye(server: Server) -> None:
    """The server learns that the end was meant, while other threads wait too."""
    reader = start_reader(server)
    server.session.close("closed")

    assert [message.kind for message in server.receive(2)] == [m.CALL, m.CLOSE]
    assert isinstance(reader.result(), ConnectionLost)
    assert not os.path.exists(f"/proc/self/fd/{server.session.transport.fileno()}")


def test_close_waits_for_answers_under_way(server: Server) -> None:
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


def test_answers_after_close_do_not_count(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call raises because closing interrupted it is no answer: the call ends with the text of the close."""
    response = server.request()
    message = Message(m.RESULT, response.request_id, pickle.dumps("interrupted"))
    say_goodbye = server.session._say_goodbye

    def answer_then_say_goodbye(outstanding: bool) -> None:
        server.session._deliver(message)
        say_goodbye(outstanding)

    monkeypatch.setattr(server.session, "_say_goodbye", answer_then_say_goodbye)
    server.session.close("closed by hand")

    with pytest.raises(ConnectionLost, match="closed by hand"):
        response.wait()
