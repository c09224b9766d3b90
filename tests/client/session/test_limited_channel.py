"""Calls with limits that cannot be sent, with a server that the test plays by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._session import limited_channel, reading
from easycluster_client._session.limited_channel import SendLimit
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout
from helpers.checkpoints import places, strike
from helpers.client_states import another_thread_sends, is_free_to_send, send_by_clock
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer
from helpers.other_thread import OtherThread
from helpers.states import in_the_middle_of_sending
from helpers.waiting import PATIENCE, wait_until
from helpers.waits import NotedWait

LARGE = bytes(5_000_000)


@pytest.fixture
def clock(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the limits of this thread's calls run."""
    clock = Clock()
    for module in (limited_channel, _deadlines):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(reading, "wait", clock.wait)
    send_by_clock(server.session._channel, clock)
    return clock


@contextmanager
def blocked_sender(server: HandMadeServer, calls: int = 1) -> Iterator[None]:
    """Another thread is in the middle of sending, for the server takes nothing in. At the end it takes in so
    many calls, in whatever order they come."""
    thread = threading.Thread(target=server.request, args=(LARGE,))
    thread.start()
    wait_until(lambda: server.session.turn.holder is not None)
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
    assert str(error).startswith(
        "the call was not sent to the server within its limit, and will not be run there"
    )
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
    channel = server.session._channel
    with channel.limit(5.0):
        outer = channel.limits[get_ident()]
        with channel.limit(7.0):
            inner = channel.limits[get_ident()]
        left = dict(channel.limits)

    assert (outer.deadline, inner.deadline) == (5.0, 7.0)
    assert left == {get_ident(): outer}
    assert channel.limits == {}


def test_limit_ends_with_an_error(server: HandMadeServer) -> None:
    """A limit is over when its call raises, too."""
    channel = server.session._channel
    with pytest.raises(KeyboardInterrupt), channel.limit(5.0):
        raise KeyboardInterrupt

    assert channel.limits == {}


# The limit itself.


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> SendLimit:
    """A limit that ends at 1005, by a clock that shows 1000."""
    clock = Clock()
    for module in (limited_channel, _deadlines):
        monkeypatch.setattr(module, "time", clock)
    return SendLimit(1005.0)


def test_time_that_is_left(limit: SendLimit) -> None:
    """The time that is left is what can be waited for: never less than nothing, and no more than the kernel knows."""
    limit.check("the server")

    assert limit.seconds_left() == 5.0
    assert SendLimit(999.0).seconds_left() == 0.0
    assert SendLimit(float("inf")).seconds_left() < threading.TIMEOUT_MAX
    assert not limit.has_begun


@pytest.mark.parametrize("deadline", [1000.0, 999.0])
def test_time_that_is_over(limit: SendLimit, deadline: float) -> None:
    """When its time is over, the error of a call that was not begun says that it will not be run."""
    with pytest.raises(CallTimeout) as caught:
        SendLimit(deadline).check("the server")

    assert str(caught.value) == (
        "the call was not sent to the server within its limit, and will not be run there: earlier messages are "
        "still on their way, because the server does not read at present, or reads slowly"
    )
    assert (caught.value.state, caught.value.response) == ("not sent", None)


def test_time_that_is_over_in_the_middle(limit: SendLimit) -> None:
    """When its time is over, the error of a call that was begun says that nobody knows what becomes of it."""
    limit.deadline, limit.has_begun = 1000.0, True
    with pytest.raises(CallTimeout) as caught:
        limit.check("the server")

    assert str(caught.value) == (
        "the call was sent in part to the server within its limit: the server does not read at present, or reads "
        "slowly; whether the call will be run there is unknown"
    )
    assert (caught.value.state, caught.value.response) == ("unknown", None)


# How long a sender tries.


def test_patience_without_a_limit(server: HandMadeServer, other_thread: OtherThread) -> None:
    """A thread without a limit tries for ever, also while another thread has one."""
    channel = server.session._channel
    alone = channel.patience()
    with channel.limit(5.0):
        beside = other_thread.run(channel.patience)

    assert (alone, beside) == (None, None)


def test_patience_with_a_limit(server: HandMadeServer, clock: Clock) -> None:
    """A thread with a limit tries until then, and gets the error after that."""
    channel = server.session._channel
    with channel.limit(clock.now + 5):
        before = channel.patience()
        clock.now += 5
        with pytest.raises(CallTimeout, match="was not sent to the server"):
            channel.patience()

    assert before == 5.0


# Sending in time.


def test_sending_where_there_is_no_limit(server: HandMadeServer) -> None:
    """A thread without a limit sends as it always does."""
    server.session._channel.send_in_time(Message(m.PING, 1))

    assert server.receive(1) == [Message(m.PING, 1)]


def test_sending_in_time_in_the_middle_of_sending(server: HandMadeServer) -> None:
    """A signal handler that sends in time while its own thread sends gets the error of sending, and no other."""
    channel = server.session._channel
    with channel.limit(float("inf")), in_the_middle_of_sending(channel):
        with pytest.raises(RuntimeError, match="a signal handler cannot make a call while it interrupts"):
            channel.send_in_time(Message(m.PING, 1))


def test_what_others_have_left_is_taken_along(server: HandMadeServer, other_thread: OtherThread) -> None:
    """A sender that is done in time sends what other threads have left to it."""
    channel = server.session._channel
    commit = channel.link.sender.commit
    left = [Message(m.PING, 2)]

    def post_meanwhile(plans: Any) -> None:
        if left:
            other_thread.run(channel.post, left.pop())
        commit(plans)

    with pytest.MonkeyPatch.context() as patch, channel.limit(float("inf")):
        patch.setattr(channel.link.sender, "commit", post_meanwhile)
        channel.send_in_time(Message(m.PING, 1))

    assert server.receive(2) == [Message(m.PING, 1), Message(m.PING, 2)]
    assert channel.resend_posted() is False


def test_what_an_interrupted_sender_left_goes_first(server: HandMadeServer, clock: Clock) -> None:
    """A call that is sent in time sends the rest of an earlier one before it counts as begun."""
    assert request_in_time(server, clock, LARGE, 0).state == "unknown"
    begun: list[bool] = []
    channel = server.session._channel

    def receive() -> None:
        begun.append(channel.limits[get_ident()].has_begun)
        server.receive_some()

    noted = NotedWait(receive, clock.wait)
    with pytest.MonkeyPatch.context() as patch, channel.limit(clock.now + 5):
        patch.setattr(reading, "wait", noted)
        server.request(LARGE)

    assert begun[0] is False
    assert begun[-1] is True
    assert [len(message.body) for message in server.receive(1)] == [len(LARGE)]


def test_others_may_send_after_a_call_that_was_cut(server: HandMadeServer, clock: Clock) -> None:
    """A call that ends by its limit leaves the sending to others, whether it had begun or not."""
    channel = server.session._channel
    request_in_time(server, clock, LARGE, 5)
    free = is_free_to_send(channel)
    with another_thread_sends(channel):
        request_in_time(server, clock, b"", 5)

    assert free
    assert is_free_to_send(channel)


def test_messages_that_were_left(server: HandMadeServer) -> None:
    """Messages that were left to a sender are sent by the next look, which says whether some are left."""
    channel = server.session._channel
    nothing = channel.resend_posted()
    with another_thread_sends(channel):
        channel.post(Message(m.PING, 1))
        left = channel.resend_posted()

    assert (nothing, left) == (False, True)
    assert channel.resend_posted() is False
    assert server.receive(1) == [Message(m.PING, 1)]


@pytest.mark.parametrize("times", [1, 2])
def test_interrupt_while_a_call_is_sent_in_time(server: HandMadeServer, times: int) -> None:
    """Wherever an interrupt comes while a small call is sent in time, the lock is free and the next one is sent."""
    channel = server.session._channel

    def send(number: int) -> None:
        with channel.limit(float("inf")):
            channel.send_in_time(Message(m.PING, number))

    def once(at: int) -> bool:
        outcome = strike(lambda: send(at), at, times)
        assert is_free_to_send(channel), outcome
        channel.limits.clear()  # where the interrupt came before the limit was there to be taken away
        send(at + 1_000_000)
        while server.received[-1:] != [Message(m.PING, at + 1_000_000)]:
            server.receive_some()
        return outcome.struck > 0

    assert places(once) > 10
    numbers = [message.request for message in server.received]
    assert len(numbers) == len(set(numbers))
