"""Sending while the kernel takes nothing more: the sender takes in what arrives meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._session import limited_channel, reading
from easycluster_client._session.pending import PendingCall
from easycluster_server._io.transport import wait
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer, note_receptions, send_call, start_reader
from helpers.other_thread import OtherThread
from helpers.waiting import PATIENCE
from helpers.waits import NotedWait

#: More than the kernel takes at once.
LARGE = bytes(1_000_000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which deadlines run."""
    clock = Clock()
    for module in (limited_channel, _deadlines):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def noted(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> NotedWait:
    """The waits of the session; the server takes in a part of what is sent during each of them."""
    noted = NotedWait(server.receive_some)
    monkeypatch.setattr(reading, "wait", noted)
    return noted


def test_sender_waits_for_room(server: HandMadeServer, noted: NotedWait) -> None:
    """A thread that cannot send waits for room, or for something to read, and checks the server once in a while."""
    send_call(server, body=LARGE)
    descriptor = server.session.transport.fileno()

    assert len(noted.calls) > 1
    assert set(noted.calls) == {(descriptor, descriptor, 10.0)}
    assert server.session.turn.holder is None
    assert server.receive(1)[0].body == LARGE


def test_sender_takes_in_answers(
    server: HandMadeServer, noted: NotedWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that cannot send takes in what has come, without waiting for more."""
    receptions = note_receptions(server, monkeypatch)
    response = server.request()
    server.answer(response)
    send_call(server, body=LARGE)

    assert response.have_response
    assert set(receptions) == {False}


def test_sender_leaves_the_reading_to_others(
    server: HandMadeServer, noted: NotedWait, other_thread: OtherThread
) -> None:
    """While another thread has the turn, a sender waits for room only, and looks again soon."""
    response = server.request()
    server.answer(response)
    assert other_thread.run(server.session.turn.take_to_read)
    send_call(server, body=LARGE)

    assert set(noted.calls) == {(-1, server.session.transport.fileno(), 0.05)}
    assert not response.have_response
    assert server.session.turn.holder == other_thread.ident


@pytest.mark.parametrize(("seconds", "expected"), [(20.0, 0.05), (0.02, 0.02)])
def test_sender_with_a_limit(
    server: HandMadeServer,
    noted: NotedWait,
    clock: Clock,
    other_thread: OtherThread,
    seconds: float,
    expected: float,
) -> None:
    """A sender with a limit waits no longer than that at a time, and no longer than any sender beside a reader."""
    with server.session.limit_sending(clock.now + seconds):
        send_call(server, body=LARGE)
    alone = {timeout for _, _, timeout in noted.calls}
    noted.calls.clear()
    assert other_thread.run(server.session.turn.take_to_read)
    with server.session.limit_sending(clock.now + seconds):
        send_call(server, body=LARGE)
    beside = {timeout for _, _, timeout in noted.calls}

    assert {round(each or 0, 6) for each in alone} == {min(seconds, 10.0)}
    assert {round(each or 0, 6) for each in beside} == {expected}


def test_server_that_breaks_the_rules_while_a_call_is_sent(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that waits for room learns of the end of the connection, and tries no further."""
    noted = NotedWait(lambda: server.socket.sendall(bytes(100)))
    monkeypatch.setattr(reading, "wait", noted)
    call = PendingCall()
    send_call(server, call, LARGE)

    assert str(call.call_loss).startswith("the connection to the server cannot be used any more: ")
    assert len(noted.calls) == 1
    assert server.session.turn.holder is None


def test_sender_reads_when_nobody_else_does(server: HandMadeServer) -> None:
    """A thread that cannot send begins to read when the thread that read has its answer, or both ends would be stuck."""
    reader = start_reader(server)
    large = server.request()
    blocked = threading.Event()

    def serve() -> None:
        # This server reads nothing more until its own answers are gone.
        blocked.wait(PATIENCE)
        server.answer(reader.response)
        reader.result()
        server.answer(large, value=bytes(20_000_000))
        server.receive(3)

    thread = threading.Thread(target=serve)
    thread.start()

    def note_wait(*arguments: Any) -> tuple[bool, bool]:
        blocked.set()
        return wait(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "wait", note_wait)
        server.request(bytes(20_000_000))
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert large.wait() == bytes(20_000_000)
