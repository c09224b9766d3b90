"""Calls with limits that cannot be sent, with a server that the test plays by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._session import limited_channel, session as session_module
from easycluster_client._session.limited_channel import SendLimit
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import CallTimeout
from helpers.client_states import send_by_clock
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer
from helpers.waiting import PATIENCE, wait_until

LARGE = bytes(5_000_000)


@pytest.fixture
def clock(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the limits of this thread's calls run."""
    clock = Clock()
    for module in (limited_channel, _deadlines):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(session_module, "wait", clock.wait)
    send_by_clock(server.session._channel, clock)
    return clock


@contextmanager
def blocked_sender(server: HandMadeServer, calls: int = 1) -> Iterator[None]:
    """Another thread is in the middle of sending, for the server takes nothing in. At the end it takes in so
    many calls, in whatever order they come."""
    thread = threading.Thread(target=server.request, args=(LARGE,))
    thread.start()
    wait_until(lambda: server.session.turn.holder)
    yield
    server.receive(calls)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def request_in_time(server: HandMadeServer, clock: Clock, body: Any, seconds: float) -> CallTimeout:
    """Make a call that must end by its limit, and not before; return the error."""
    deadline = clock.now + seconds
    with pytest.raises(CallTimeout) as caught, server.session._channel.limit(deadline):
        server.request(body)
    assert clock.now == deadline
    return caught.value


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("seconds", [0, 5])
def test_behind_another_sender(server: HandMadeServer, clock: Clock, body: bytes, seconds: float) -> None:
    """A call whose limit ends while another thread sends was not sent, says so, and leaves nothing."""
    with blocked_sender(server):
        error = request_in_time(server, clock, body, seconds)
    server.request(b"the next")

    assert (error.state, error.response) == ("not sent", None)
    assert "will not be run" in str(error)
    assert [message.body[:8] for message in server.receive(2)] == [LARGE[:8], b"the next"]
    assert len(server.session._calls.by_number) == 2
    assert not server.session._channel.limits


def test_what_it_would_have_given_back(server: HandMadeServer, clock: Clock) -> None:
    """Objects that a call would have given back are given back by the next one, if it was not sent."""
    with blocked_sender(server):
        server.session.references.garbage.append([5, 5])
        request_in_time(server, clock, b"", 0)
    server.request()

    assert server.receive(2)[1].releases == [(5, 2)]


def test_cut_in_the_middle(server: HandMadeServer, clock: Clock) -> None:
    """Of a call that was cut in the middle it is unknown whether it will be run; later ones are sent."""
    error = request_in_time(server, clock, LARGE, 5)
    thread = threading.Thread(target=server.request, args=(b"the next",))
    thread.start()
    received = server.receive(1)
    thread.join(PATIENCE)

    assert (error.state, error.response) == ("unknown", None)
    assert received[-1].body == b"the next"


def test_behind_what_an_interrupted_sender_left(server: HandMadeServer, clock: Clock) -> None:
    """A call that comes after one that was cut is not begun while that one's rest is not sent."""
    assert request_in_time(server, clock, LARGE, 0).state == "unknown"
    assert request_in_time(server, clock, b"", 0).state == "not sent"


def test_in_time(server: HandMadeServer) -> None:
    """A call that is sent in time is sent as any other, also when it has to wait for another thread first."""
    calls: list[Any] = []

    def request() -> None:
        with server.session._channel.limit(float("inf")):
            calls.append(server.request(LARGE))

    with blocked_sender(server, 2):
        thread = threading.Thread(target=request)
        thread.start()
        wait_until(lambda: len(server.session._calls.by_number) == 2)
    thread.join(PATIENCE)
    server.answer(*calls)

    assert [(message.kind, len(message.body)) for message in server.received] == [(m.CALL, len(LARGE))] * 2
    assert calls[0].wait() == "value"


def test_signal_handler_that_makes_calls_with_limits(server: HandMadeServer) -> None:
    """A call with a limit that a signal handler makes in the middle of another leaves that one's limit."""
    with server.session._channel.limit(5.0):
        outer = next(iter(server.session._channel.limits.values()))
        with server.session._channel.limit(7.0):
            pass
        (left,) = server.session._channel.limits.values()

    assert left is outer
    assert not server.session._channel.limits


def test_longest_wait() -> None:
    """However long a limit is, the kernel is asked to wait no longer than it can."""
    assert SendLimit(float("inf")).seconds_left() < threading.TIMEOUT_MAX
