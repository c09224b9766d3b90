"""The master's side of a connection, with a server that the test plays by hand."""

from __future__ import annotations

import sys
import threading
import weakref
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session import session as session_module
from easycluster_client._session.pending import PendingCall
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import (
    CallNotSent,
    CallTimeout,
    ConnectionLost,
    LocalProtocolError,
    OutcomeUnknown,
)
from helpers.client_states import another_thread_sends, send_by_clock
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer, drop_proxies, raise_timeout, send_call
from helpers.other_thread import OtherThread
from helpers.states import in_the_middle_of_sending
from helpers.waiting import PATIENCE
from helpers.waits import NotedWait

# A new session.


def test_messages_that_came_with_the_handshake() -> None:
    """Messages that arrived together with the end of the handshake are taken in at the beginning."""
    server = HandMadeServer(early=[Message(m.PING, 7)])
    received = server.receive(1)
    server.close()

    assert received == [Message(m.PONG, 7)]


def test_new_session(server: HandMadeServer) -> None:
    """A new session is open, has sent nothing and waits for nothing."""
    session = server.session

    assert (session.error, session.outstanding, session.arrived) == (None, 0, [])
    assert session.sent_packages == set()
    assert session.peername == "the server"
    assert session.pickle_protocol == session.link.agreement.pickle_protocol > 0
    assert session.references.session is session


def test_session_is_abandoned_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new session is noted among those that a forked process gives up."""
    noted: list[object] = []
    monkeypatch.setattr(session_module, "abandon_after_fork", noted.append)
    server = HandMadeServer()
    server.close()

    assert noted == [server.session]


@pytest.mark.parametrize(("python", "expected"), [("3.13.1", 1), ("3.12.9", 0)])
def test_server_whose_pickles_have_other_names(
    monkeypatch: pytest.MonkeyPatch, python: str, expected: int
) -> None:
    """Pickles of Python 3.13 are made readable as soon as a server runs that, and for no other one."""
    calls: list[int] = []
    asked: list[str] = []

    def is_needed_for(of: str) -> bool:
        asked.append(of)
        return python.startswith("3.13.")

    fake = SimpleNamespace(is_needed_for=is_needed_for, make_importable=lambda: calls.append(1))
    monkeypatch.setattr(session_module, "pathlib_local", fake)
    HandMadeServer().close()

    assert asked == [".".join(map(str, sys.version_info[:3]))]
    assert len(calls) == expected


# Sending calls.


def test_calls_are_numbered(server: HandMadeServer) -> None:
    """Each call gets the next number, from 1, and is sent with its body, buffers and thread."""
    calls = [PendingCall() for _ in range(2)]
    server.session.request(calls[0], m.CALL, b"first", (), 3)
    server.session.request(calls[1], m.INVOKE, b"second", [b"beside"], -1)

    assert [call.request_id for call in calls] == [1, 2]
    assert server.receive(2) == [
        Message(m.CALL, 1, b"first", 3),
        Message(m.INVOKE, 2, b"second", -1, [b"beside"]),
    ]
    assert server.session.outstanding == 2
    assert not any(call.call_is_answered for call in calls)


def test_call_takes_along_what_is_to_be_given_back(server: HandMadeServer) -> None:
    """A call gives back the objects whose proxies are gone, once."""
    drop_proxies(server, 5, 6, 5)
    for _ in range(2):
        send_call(server)

    assert [message.releases for message in server.receive(2)] == [[(5, 2), (6, 1)], ()]


def test_call_is_known_before_it_is_sent(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast the answer comes, it finds its call."""
    call = PendingCall()
    known: list[int] = []
    send = server.session._channel.send

    def answer_at_once(message: Message) -> None:
        send(message)
        known.append(server.session.outstanding)
        server.send(Message(m.RESULT, message.request, b"N."))
        server.session.read(block=True)

    monkeypatch.setattr(server.session._channel, "send", answer_at_once)
    send_call(server, call)

    assert known == [1]
    assert call.call_is_answered


def test_call_that_no_message_can_carry(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that cannot be sent raises and costs nothing else: what it should have given back is given back later."""
    monkeypatch.setattr("easycluster_protocol._wire.messages.MAX_TABLE_ENTRIES", 1)
    drop_proxies(server, 5)
    with pytest.raises(LocalProtocolError):
        server.session.request(PendingCall(), m.CALL, b"", [bytes(40_000)] * 2, 0)
    response = server.request()
    server.answer(response)

    assert response.wait() == "value"
    assert server.receive(1)[0].releases == [(5, 1)]
    assert server.session.outstanding == 0


@pytest.mark.parametrize("state", ["unknown", "not sent"])
def test_call_that_is_not_sent_in_time(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """A call whose limit is over is forgotten; if nothing of it was sent, the next gives back what it would have."""
    error = CallTimeout("too late")
    error.state = state
    sent: list[Message] = []

    def send_in_time(message: Message) -> None:
        sent.append(message)
        raise error

    monkeypatch.setattr(server.session._channel, "send_in_time", send_in_time)
    drop_proxies(server, 5)
    with server.session.limit_sending(0.0), pytest.raises(CallTimeout) as caught:
        send_call(server)
    send_call(server)

    assert caught.value is error
    assert [message.releases for message in sent] == [[(5, 1)]]
    assert server.receive(1)[0].releases == ([(5, 1)] if state == "not sent" else ())
    assert server.session.outstanding == 1
    assert server.session.error is None


def test_only_calls_inside_have_the_limit(server: HandMadeServer) -> None:
    """A call that is made where sending has a limit is sent within it, another one without."""
    with server.session.limit_sending(float("inf")):
        send_call(server, body=b"inside")
        limits = [each.deadline for each in server.session._channel.limits.values()]
    send_call(server, body=b"outside")

    assert limits == [float("inf")]
    assert not server.session._channel.limits
    assert [message.body for message in server.receive(2)] == [b"inside", b"outside"]


@pytest.mark.parametrize("where", ["send", "receive"])
def test_timeout_error_of_a_signal_handler(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A handler that raises TimeoutError, which is an OSError, abandons its call and not the connection."""
    response = server.request()
    drop_proxies(server, 5)
    monkeypatch.setattr(server.session._channel, where, raise_timeout)
    with pytest.raises(TimeoutError, match="too late"):
        server.request().wait()
    monkeypatch.undo()
    server.answer(response)

    assert response.wait() == "value"
    assert server.session.error is None
    assert server.session.outstanding == (0 if where == "send" else 1)
    assert not server.session.references.garbage  # the message may be on its way all the same


def test_call_after_the_server_has_gone(server: HandMadeServer) -> None:
    """A call that finds the server gone is lost, and later ones are refused; each gets an error of its own."""
    server.socket.close()
    first = send_call(server)
    errors: list[BaseException | None] = [first.call_loss]
    for _ in range(2):
        with pytest.raises(ConnectionLost) as caught:
            send_call(server)
        errors.append(caught.value)

    text = "the connection to the server was lost"
    assert [str(error) for error in errors] == [
        f"{text}; the call was not sent, and will not be run",
        text,
        text,
    ]
    assert [type(error) for error in errors] == [CallNotSent] * 3
    assert [type(error and error.__cause__) for error in errors] == [BrokenPipeError] * 3
    assert len(set(map(id, errors))) == 3
    assert (first.call_is_answered, server.session.outstanding) == (True, 0)


def test_answer_of_a_server_that_has_gone(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that was answered before the connection broke under it keeps its answer."""
    call = PendingCall()
    send = server.session._channel.send

    def answered_and_broken(message: Message) -> None:
        call.call_is_answered = True
        server.socket.close()
        send(message)

    monkeypatch.setattr(server.session._channel, "send", answered_and_broken)
    send_call(server, call)

    assert call.call_loss is None
    assert server.session.error is not None


@pytest.mark.parametrize("is_sent", [False, True])
def test_call_that_crosses_a_close(
    server: HandMadeServer, other_thread: OtherThread, monkeypatch: pytest.MonkeyPatch, is_sent: bool
) -> None:
    """A call that another thread makes in the middle of a close is lost with the rest, whether it was sent or not."""
    channel, call = server.session._channel, PendingCall()
    send, send_at_once = channel.send, channel.send_at_once
    sending, closed = threading.Event(), threading.Event()
    futures: list[Any] = []

    def send_after_the_end(message: Message) -> None:
        sending.set()
        assert closed.wait(PATIENCE)
        if not is_sent:
            send(message)

    def call_meanwhile(message: Message) -> bool:
        futures.append(other_thread.start(send_call, server, call))
        assert sending.wait(PATIENCE)
        return send_at_once(message)

    monkeypatch.setattr(channel, "send", send_after_the_end)
    monkeypatch.setattr(channel, "send_at_once", call_meanwhile)
    server.session.close("closed by hand")
    closed.set()
    error = futures[0].exception(PATIENCE)

    assert error is None
    assert type(call.call_loss) is (OutcomeUnknown if is_sent else CallNotSent)
    assert str(call.call_loss) == "closed by hand"


def test_signal_handler_that_calls_while_its_thread_sends(server: HandMadeServer) -> None:
    """A handler that makes a call in the middle of sending gets an error, and its call is forgotten."""
    with in_the_middle_of_sending(server.session._channel):
        with pytest.raises(RuntimeError, match="a signal handler cannot make a call"):
            send_call(server)

    assert server.session.outstanding == 0
    assert server.session.error is None


# Sending other messages.


def test_message_without_an_answer(server: HandMadeServer) -> None:
    """A message that has no answer is sent with its body and thread, and is no call."""
    server.session.control(m.STOP_THREAD, 9)
    server.session.control(m.MODULES, body=b"modules")

    assert server.receive(2) == [Message(m.STOP_THREAD, 0, b"", 9), Message(m.MODULES, 0, b"modules", 0)]
    assert server.session.outstanding == 0


def test_message_after_the_server_has_gone(server: HandMadeServer) -> None:
    """A message that has no answer finds the server gone as a call does, and the connection ends."""
    call = send_call(server)
    server.socket.close()
    errors: list[BaseException] = []
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="^the connection to the server was lost$") as caught:
            server.session.control(m.STOP_THREAD, 9)
        errors.append(caught.value)

    assert [type(error.__cause__) for error in errors] == [BrokenPipeError] * 2
    assert errors[0] is not errors[1]
    assert isinstance(call.call_loss, ConnectionLost)


def test_message_after_a_close(server: HandMadeServer) -> None:
    """A message that has no answer is refused after a close, with the reason and no other."""
    server.session.close("closed")
    with pytest.raises(ConnectionLost, match="^closed$") as caught:
        server.session.control(m.STOP_THREAD, 9)

    assert caught.value.__cause__ is None


def test_timeout_error_while_a_message_is_sent(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of a signal handler that comes while a message is sent is raised, and the connection stays."""
    monkeypatch.setattr(server.session._channel, "send", raise_timeout)
    with pytest.raises(TimeoutError, match="too late"):
        server.session.control(m.STOP_THREAD, 9)

    assert server.session.error is None


def test_message_ahead_of_the_first_call(server: HandMadeServer) -> None:
    """What is to come first is sent with the first call, and not again."""
    bodies = iter([b"first", b"again"])
    server.session.send_before_first_call(m.MODULES, lambda: next(bodies))
    assert next(bodies) == b"first"
    bodies = iter([b"modules"])
    server.session.request(PendingCall(), m.INVOKE, b"body", [b"beside"], 3)
    send_call(server)

    assert server.receive(3) == [
        Message(m.MODULES, 0, b"modules"),
        Message(m.INVOKE, 1, b"body", 3, [b"beside"]),
        Message(m.CALL, 2),
    ]


def test_message_ahead_of_a_call_that_is_interrupted(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the message ahead of the first call could not be sent, the next call begins with it again."""
    server.session.send_before_first_call(m.MODULES, lambda: b"modules")
    monkeypatch.setattr(server.session._channel, "send", raise_timeout)
    with pytest.raises(TimeoutError):
        send_call(server)
    monkeypatch.undo()
    send_call(server)

    assert server.receive(2) == [Message(m.MODULES, 0, b"modules"), Message(m.CALL, 1)]


def test_giving_back(server: HandMadeServer) -> None:
    """Objects whose proxies are gone are given back by messages that hold a bounded number of them."""
    drop_proxies(server, *range(1, 601))
    server.session.give_back()

    assert [(each.kind, each.request, len(each.releases)) for each in server.receive(3)] == [
        (m.RELEASE, 0, 256),
        (m.RELEASE, 0, 256),
        (m.RELEASE, 0, 88),
    ]
    assert sorted(pair for each in server.received for pair in each.releases) == [
        (oid, 1) for oid in range(1, 601)
    ]
    assert not server.session.references.garbage


def test_giving_back_nothing(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is nothing to give back nothing is sent, and the descriptor is not even looked at."""
    noted = NotedWait()
    monkeypatch.setattr(session_module, "wait", noted)
    server.session.give_back()
    before = list(noted.calls)
    server.session.references.garbage.append([])
    server.session.give_back()
    send_call(server)

    assert before == []
    assert noted.calls == [(-1, server.session.transport.fileno(), 0)]
    assert [message.kind for message in server.receive(1)] == [m.CALL]
    assert not server.session.references.garbage


def test_giving_back_while_the_kernel_takes_nothing(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where sending would have to wait, objects are given back later."""
    monkeypatch.setattr(session_module, "wait", lambda read, write, timeout: (True, False))
    drop_proxies(server, 5)
    server.session.give_back()
    monkeypatch.undo()
    send_call(server)

    assert [(message.kind, message.releases) for message in server.receive(1)] == [(m.CALL, [(5, 1)])]


def test_giving_back_to_a_server_that_has_gone(server: HandMadeServer) -> None:
    """That nothing can be given back any more is noted, and raises nothing; after the end nothing is tried."""
    drop_proxies(server, 5)
    server.socket.close()
    server.session.give_back()
    error = server.session.error
    drop_proxies(server, 6)
    server.session.give_back()

    assert str(error) == "the connection to the server was lost: [Errno 32] Broken pipe"
    assert len(server.session.references.garbage) == 1


def test_query(server: HandMadeServer) -> None:
    """A query names its call, is answered for it, and changes nothing that it does not name."""
    responses = [server.request() for _ in range(2)]
    for response in responses:
        server.session.query_status(response)
    queries = server.receive(4)[2:]
    server.send(*(Message(m.STATUS, *more) for more in ((1, m.STARTED), (2, b"later"), (9, m.STARTED))))
    server.session.read(block=True)

    assert queries == [Message(m.STATUS_QUERY, 1), Message(m.STATUS_QUERY, 2)]
    assert [response.call_is_started for response in responses] == [True, False]


def test_query_waits_for_no_other_thread(server: HandMadeServer) -> None:
    """While another thread sends no query is sent, and none is waited for."""
    clock = Clock()
    send_by_clock(server.session._channel, clock)
    response = server.request()
    before = clock.now
    with another_thread_sends(server.session._channel):
        server.session.query_status(response)
    send_call(server)

    assert clock.now == before
    assert [message.kind for message in server.receive(2)] == [m.CALL, m.CALL]


def test_query_is_sent_at_once(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query waits neither for room nor for another thread."""
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(server.session._channel, "send_at_once", lambda *arguments: sent.append(arguments))
    call = PendingCall()
    call.request_id = 7
    server.session.query_status(call)

    assert sent == [(Message(m.STATUS_QUERY, 7), 0.0)]


def test_query_to_a_server_that_has_gone(server: HandMadeServer) -> None:
    """A query that cannot be sent any more is no error; what a signal handler raises meanwhile is."""
    response = server.request()
    server.socket.close()
    server.session.query_status(response)

    assert not response.call_is_started
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.session._channel, "send_at_once", Mock(side_effect=TimeoutError("too late")))
        with pytest.raises(TimeoutError, match="too late"):
            server.session.query_status(response)


def test_messages_that_an_interrupted_sender_left(server: HandMadeServer) -> None:
    """What was left to a sender that was interrupted is sent by the next look, unless another thread sends."""
    session = server.session
    nothing = session.resend_posted()
    with another_thread_sends(session._channel):
        session._channel.post(Message(m.PING, 1))
        left = session.resend_posted()

    assert (nothing, left, session.resend_posted()) == (False, True, False)
    assert server.receive(1) == [Message(m.PING, 1)]


def test_messages_that_cannot_be_sent_any_more(server: HandMadeServer) -> None:
    """When the connection breaks under a message that was left, that is noted and nothing is left to do."""
    session = server.session
    with another_thread_sends(session._channel):
        session._channel.post(Message(m.PING, 1))
    server.socket.close()

    assert session.resend_posted() is False
    assert isinstance(session.error, ConnectionLost)


# The end.


def test_descriptor(server: HandMadeServer) -> None:
    """A descriptor is good as long as it is one; after that the error of the connection is raised."""
    assert [server.session.check_descriptor(descriptor) for descriptor in (0, 1, 7)] == [0, 1, 7]
    server.session.close("closed")
    with pytest.raises(ConnectionLost, match="^closed$"):
        server.session.check_descriptor(server.session.transport.fileno())


def test_every_thread_may_wait(server: HandMadeServer) -> None:
    """On a session without a background thread any thread may wait for an answer."""
    server.session.check_may_wait()


def test_abandoned_session(server: HandMadeServer) -> None:
    """In a forked process every call ends, nothing is said to the server, and no lock of before is needed."""
    session = server.session
    call, watched = send_call(server), server.request(oncomplete=print)
    lock = session.references._lock
    lock.acquire()
    session.abandon()
    server.receive(2)

    assert server.socket.recv(1) == b""
    assert (
        str(call.call_loss)
        == str(watched.call_loss)
        == (
            "the connection to the server belongs to the process from which this one was forked: connect() again here"
        )
    )
    assert (session.outstanding, session.arrived) == (0, [])
    assert session.references._lock is not lock


def test_objects_that_answers_name(server: HandMadeServer) -> None:
    """The receipts of an answer that names objects, ahead of it too, are given back with the answer."""
    response = server.request()
    server.send(
        Message(m.REFERENCES, response.request_id, references=[6]),
        Message(m.RESULT, response.request_id, b"N.", references=[5]),
    )
    server.session.wait(response)
    del response
    send_call(server)

    assert server.receive(2)[1].releases == [(6, 1), (5, 1)]


def test_call_that_no_script_holds_is_forgotten(server: HandMadeServer) -> None:
    """When a call has its answer the session holds it no longer."""
    response = server.request()
    reference = weakref.ref(response)
    server.answer(response)
    server.session.read(block=True)
    del response

    assert reference() is None


def test_response_is_a_call(server: HandMadeServer) -> None:
    """The responses that scripts hold are calls of their session."""
    response = NonblockingResponse(server._client, "f", server.session)
    send_call(server, response)
    server.answer(response)

    assert response.wait() == "value"
