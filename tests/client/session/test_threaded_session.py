"""The session of a ThreadedClient: how callers and the background thread share the reading."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial
from threading import get_ident
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._observers import Verdict
from easycluster_client._session import limited_channel, reading, threaded_session
from easycluster_client._session.pending import PendingCall
from easycluster_client._session.threaded_session import ThreadedSession
from easycluster_client._session.watch import NoWatch, Watch
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CompletionError, ConnectionLost, RemoteProtocolError
from helpers.checkpoints import Struck, places, strike
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer, drop_proxies, note_receptions, raise_timeout, send_call
from helpers.hand_made_threaded import (
    NotedWatch,
    ThreadedHandMadeServer,
    leave_half_done,
)
from helpers.other_thread import OtherThread
from helpers.waits import NotedWait

#: More than the kernel takes at once.
LARGE = bytes(1_000_000)


@pytest.fixture
def watch() -> NotedWatch:
    """The watch of the session."""
    return NotedWatch()


@pytest.fixture
def server(watch: NotedWatch) -> Iterator[ThreadedHandMadeServer]:
    """The other end of the session."""
    server = ThreadedHandMadeServer(watch)
    yield server
    watch.trouble.clear()
    server.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which signs of life are dated."""
    clock = Clock()
    for module in (threaded_session, reading):
        monkeypatch.setattr(module, "monotonic", clock.monotonic)
    for module in (limited_channel, _deadlines):
        monkeypatch.setattr(module, "time", clock)
    return clock


def of_a_closed_descriptor() -> OSError:
    """The error of a watch whose connection was closed."""
    return OSError(errno.EBADF, "Bad file descriptor")


def raise_struck(*arguments: Any) -> Any:
    """Stand for a step in the middle of which a signal handler raises."""
    raise Struck


# A new session.


def test_new_session(clock: Clock) -> None:
    """A new session has a watch of its own, knows no background thread, and counts the server as heard of."""
    server = HandMadeServer(partial(ThreadedSession, keep_alive=KeepAliveOptions(None, None)))
    session: Any = server.session
    state = (
        session.background,
        session.completing,
        session.is_closing,
        session.is_closed,
        session.garbage_noted,
    )
    watch = session.watch
    server.socket.sendall(b"x")
    reported = watch.wait(0)
    server.close()

    assert state == (0, 0, False, False, False)
    assert session.heard_at == 1000.0
    assert isinstance(watch, Watch)
    assert not isinstance(watch, NoWatch)
    assert not reported  # it begins disarmed


# Proxies that are gone.


def test_dropped_proxies(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """A finaliser wakes the background thread once, and not again until that has taken note."""
    drop_proxies(server, 5, 6)
    before = (watch.take_events(), list(server.session.references.garbage))
    server.session.garbage_noted = False
    drop_proxies(server, 7)

    assert before == (["wake"], [[5], [6]])
    assert watch.take_events() == ["wake"]
    assert server.session.garbage_noted


def test_dropped_proxy_is_there_when_the_thread_is_woken(
    server: ThreadedHandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background thread that is woken finds what was dropped, and the note of it."""
    found: list[tuple[int, bool]] = []
    session = server.session
    monkeypatch.setattr(
        server.watch, "wake", lambda: found.append((len(session.references.garbage), session.garbage_noted))
    )
    drop_proxies(server, 5)

    assert found == [(1, True)]


# Waiting.


def test_background_thread_may_not_wait(server: ThreadedHandMadeServer) -> None:
    """A completion function that waits gets an error that says what to do; its call is not touched."""
    call = send_call(server)
    server.session.background = get_ident()
    with pytest.raises(CompletionError) as caught:
        server.session.wait(call)

    assert str(caught.value) == (
        "a completion function of a ThreadedClient cannot wait for an answer of the same client: the thread that "
        "runs it also calls the others and watches the server. Use nonblocking=True with oncomplete=, or let a "
        "thread of your own wait"
    )
    assert not call.call_is_answered


def test_background_thread_may_ask_for_what_is_there(server: ThreadedHandMadeServer) -> None:
    """A completion function may ask for an answer that has come."""
    call = send_call(server)
    call.call_is_answered = True
    server.session.background = get_ident()
    server.session.wait(call)


def test_other_threads_may_wait(server: ThreadedHandMadeServer, other_thread: OtherThread) -> None:
    """Every other thread may wait, also while completion functions are to be called: those are not its own."""
    completed, call = server.request(oncomplete=print), server.request()
    server.session.background = other_thread.ident
    server.answer(completed)
    server.answer(call)
    server.session.check_may_wait()
    server.session.wait(call)

    assert call.have_response
    assert server.session.arrived == [completed]


def test_waiting_with_a_deadline(server: ThreadedHandMadeServer, clock: Clock) -> None:
    """A wait with a deadline ends then."""
    call = send_call(server)
    server.session.wait(call, clock.now)

    assert not call.call_is_answered


def test_outstanding_calls(server: ThreadedHandMadeServer) -> None:
    """A call counts until its completion functions have come to their end."""
    send_call(server)
    server.session.completing = 1

    assert server.session.outstanding == 2


# Sending calls.


def test_watch_is_disarmed_before_a_call_is_sent(
    server: ThreadedHandMadeServer, watch: NotedWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of a call that is being sent wakes its caller and not the background thread."""
    found: list[list[str]] = []
    send = server.session._channel.send

    def note(message: Message) -> None:
        found.append(watch.take_events())
        send(message)

    monkeypatch.setattr(server.session._channel, "send", note)
    server.session.request(PendingCall(), m.INVOKE, b"body", [b"beside"], 3)

    assert found == [["disarm"]]
    assert watch.events == []
    assert server.receive(1) == [Message(m.INVOKE, 1, b"body", 3, [b"beside"])]


def test_call_on_a_connection_that_was_closed(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """A call after the end gets the error of the connection, and none of the watch."""
    server.session.close("closed")
    watch.trouble["disarm"] = of_a_closed_descriptor()
    with pytest.raises(ConnectionLost, match="^closed$"):
        send_call(server)


@pytest.mark.parametrize("error", [of_a_closed_descriptor(), TimeoutError("too late")], ids=repr)
def test_call_whose_watch_fails(server: ThreadedHandMadeServer, watch: NotedWatch, error: OSError) -> None:
    """Any other error of disarming is raised, and the call is not sent."""
    watch.trouble["disarm"] = error
    with pytest.raises(OSError, match="too late|Bad file descriptor") as caught:
        send_call(server)

    assert caught.value is error
    assert server.session.outstanding == 0


# Reading in the thread of a caller.


def test_reading_disarms_the_watch(clock: Clock, server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """While a caller reads the watch is disarmed; afterwards the background thread reads again."""
    call = send_call(server)
    watch.take_events()
    clock.now += 1
    nothing = server.session.read(block=False)
    before = (server.session.heard_at, watch.take_events())
    server.send(Message(m.RESULT, 1, b"N."))
    something = server.session.read(block=True)

    assert (nothing, something, call.call_is_answered) == (False, True, True)
    assert before == (1000.0, ["disarm", "arm"])
    assert (server.session.heard_at, watch.take_events()) == (1001.0, ["disarm", "arm"])


def test_watch_is_disarmed_while_something_is_received(
    server: ThreadedHandMadeServer, watch: NotedWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch is disarmed before something is received, and armed after that."""
    found: list[list[str]] = []

    def note(deliver: Any, block: bool) -> bool:
        found.append(list(watch.events))
        return True

    monkeypatch.setattr(server.session._channel, "receive", note)
    server.session.read(block=True)

    assert found == [["disarm"]]


def test_reading_answers_that_are_to_be_completed(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """A caller that reads an answer with completion functions wakes the background thread, which calls them."""
    response = server.request(oncomplete=print)
    server.answer(response)
    watch.take_events()
    server.session.read(block=True)

    assert server.session.arrived == [response]
    assert watch.take_events() == ["disarm", "wake", "arm"]


def test_reading_the_end(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """A caller that finds the end of the connection wakes the background thread."""
    server.socket.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost):
        server.session.read(block=True)

    assert watch.take_events() == ["disarm", "wake", "wake", "rouse"]


def test_interrupted_reader(
    server: ThreadedHandMadeServer, watch: NotedWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is interrupted rouses the background thread, which finishes what it left half done."""
    monkeypatch.setattr(server.session._channel, "receive", raise_struck)
    with pytest.raises(Struck):
        server.session.read(block=True)

    assert watch.take_events() == ["disarm", "rouse"]
    assert server.session.turn.holder is None


def test_reader_after_an_interrupted_one(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """A reader that found its answer there already leaves what another one left to the background thread."""
    leave_half_done(server)
    call = send_call(server)
    call.call_is_answered = True
    watch.take_events()
    came = server.session._receive(False, call)

    assert came
    assert watch.take_events() == ["disarm", "rouse"]


@pytest.mark.parametrize("step", ["disarm", "arm"])
def test_connection_that_is_closed_under_a_reader(
    server: ThreadedHandMadeServer, watch: NotedWatch, step: str
) -> None:
    """When another thread closes the descriptor under a reader, the connection is lost and nothing else is raised."""
    server.session.transport.close()
    watch.trouble.update({step: of_a_closed_descriptor(), "rouse": of_a_closed_descriptor()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.session._channel, "receive", lambda deliver, block: True)
        with pytest.raises(ConnectionLost) as caught:
            server.session.read(block=True)

    assert str(caught.value) == "the connection to the server was lost: [Errno 9] Bad file descriptor"


def test_connection_that_was_ended_under_a_reader(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """When the descriptor was closed by a close, its reason stays."""
    call = send_call(server)
    server.socket.shutdown(socket.SHUT_WR)  # so that the close waits for nothing
    server.session.close("closed")
    watch.trouble.update({"disarm": of_a_closed_descriptor(), "rouse": of_a_closed_descriptor()})

    assert not server.session._receive(False, call)
    assert str(server.session.error) == "closed"


@pytest.mark.parametrize(
    "error", [of_a_closed_descriptor(), OSError(errno.EIO, "I/O"), ValueError()], ids=repr
)
def test_watch_that_fails_under_a_reader(
    server: ThreadedHandMadeServer, watch: NotedWatch, error: Exception
) -> None:
    """Any other error of the watch is raised, and the connection stays."""
    watch.trouble["arm"] = error
    with pytest.raises(type(error)) as caught:
        server.session.read(block=False)

    assert caught.value is error
    assert server.session.error is None
    assert watch.take_events() == ["disarm", "arm", "rouse"]


def test_watch_that_fails_after_an_interrupt(
    server: ThreadedHandMadeServer, watch: NotedWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When rousing fails after an interrupt, that is raised unless the descriptor was closed."""
    monkeypatch.setattr(server.session._channel, "receive", raise_struck)
    watch.trouble["rouse"] = of_a_closed_descriptor()
    with pytest.raises(OSError, match="Bad file descriptor"):
        server.session.read(block=True)
    server.session.transport.close()
    with pytest.raises(Struck):
        server.session.read(block=True)


@pytest.mark.parametrize("times", [1, 2])
def test_interrupt_while_a_caller_reads(
    server: ThreadedHandMadeServer, watch: NotedWatch, times: int
) -> None:
    """Wherever a caller is interrupted that reads, the watch ends armed or roused, and the answer is not lost."""

    def once(at: int) -> bool:
        response = server.request()
        server.answer(response)
        watch.take_events()
        outcome = strike(lambda: server.session.wait(response), at, times)
        events = watch.take_events()
        assert not events or events[-1] in {"arm", "rouse"}, (outcome, events)
        if not response.have_response:
            server.session.wait(response)
        assert response.wait() == "value", outcome
        return outcome.struck > 0

    assert places(once) > 20


# The watch.


@pytest.mark.parametrize(
    ("is_left", "is_read", "expected"), [(0, 0, "arm"), (1, 0, "rouse"), (1, 1, "arm"), (0, 1, "arm")]
)
def test_arming(
    server: ThreadedHandMadeServer, watch: NotedWatch, is_left: int, is_read: int, expected: str
) -> None:
    """The background thread reads when something comes; what an interrupted reader left it reads at once, unless another
    thread reads already."""
    if is_left:
        leave_half_done(server)
    if is_read:
        with server.session.turn.reading:
            server.session.arm()
    else:
        server.session.arm()

    assert watch.take_events() == [expected]
    assert server.session.has_leftovers is bool(is_left)


def test_arming_after_the_end(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """That the descriptor was closed is no error of arming; any other is raised."""
    watch.trouble["arm"] = of_a_closed_descriptor()
    with pytest.raises(OSError, match="Bad file descriptor"):
        server.session.arm()
    server.session.close("closed")
    server.session.arm()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EBADF, "bad"), True),
        (OSError(errno.ENOENT, "not there"), True),
        (OSError(errno.EIO, "I/O"), False),
        (ValueError("bad"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=repr,
)
def test_errors_of_a_closed_descriptor(
    server: ThreadedHandMadeServer, error: BaseException, expected: bool
) -> None:
    """Only two errors of the system mean that the descriptor was closed, and only when it was."""
    before = server.session.is_gone(error)
    server.session.transport.close()

    assert (before, server.session.is_gone(error)) == (False, expected)


# Reading in the background thread.


def test_receiving_in_the_background(
    clock: Clock, server: ThreadedHandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background thread receives without waiting; while it does it is known as the reader, and the lock is held."""
    session = server.session
    session.background = 77
    call = send_call(server)
    clock.now += 1
    nothing = (session.receive_in_background(), session.heard_at)
    server.send(Message(m.RESULT, 1, b"N."))
    found: list[tuple[int, bool]] = []
    deliver = session._deliver

    def note(message: Message) -> None:
        found.append((session.turn.reader, session.turn.reading.locked()))
        deliver(message)

    monkeypatch.setattr(session, "_deliver", note)
    something = (session.receive_in_background(), session.heard_at)

    assert (nothing, something) == ((False, 1000.0), (True, 1001.0))
    assert found == [(77, True)]
    assert call.call_is_answered
    assert (session.turn.reader, session.turn.reading.locked()) == (0, False)


def test_receiving_in_the_background_beside_a_reader(server: ThreadedHandMadeServer) -> None:
    """The background thread never waits for another thread that reads."""
    call = send_call(server)
    server.send(Message(m.RESULT, 1, b"N."))
    with server.session.turn.reading:
        came = server.session.receive_in_background()

    assert not came
    assert not call.call_is_answered


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda server: server.socket.shutdown(socket.SHUT_WR), "the connection ended (the server)"),
        (
            lambda server: server.socket.sendall(bytes(100)),
            "the connection to the server cannot be used any more: ",
        ),
    ],
    ids=["end", "nonsense"],
)
def test_end_in_the_background(
    server: ThreadedHandMadeServer, act: Callable[[HandMadeServer], None], text: str
) -> None:
    """The background thread notes the end of the connection, and raises nothing."""
    act(server)
    came = server.session.receive_in_background()

    assert not came
    assert str(server.session.error).startswith(text)
    assert (server.session.turn.reader, server.session.turn.reading.locked()) == (0, False)


def test_error_in_the_background(server: ThreadedHandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other error is raised, and the lock is free then."""
    monkeypatch.setattr(server.session._channel, "receive", raise_timeout)
    with pytest.raises(TimeoutError, match="too late"):
        server.session.receive_in_background()

    assert server.session.error is None
    assert (server.session.turn.reader, server.session.turn.reading.locked()) == (0, False)


# Sending while the kernel takes nothing more.


@pytest.fixture
def noted(server: ThreadedHandMadeServer, monkeypatch: pytest.MonkeyPatch) -> NotedWait:
    """The waits of the session; the server takes in a part of what is sent during each of them."""
    noted = NotedWait(server.receive_some)
    monkeypatch.setattr(threaded_session, "wait", noted)
    return noted


def test_sender_waits_for_room(server: ThreadedHandMadeServer, noted: NotedWait) -> None:
    """A thread that cannot send waits for room or for something to read, and looks again soon."""
    send_call(server, body=LARGE)
    descriptor = server.session.transport.fileno()

    assert set(noted.calls) == {(descriptor, descriptor, 0.05)}
    assert server.receive(1)[0].body == LARGE
    assert server.session.turn.holder is None
    assert server.keep_alive.checks == 0


def test_sender_takes_in_answers(
    server: ThreadedHandMadeServer, noted: NotedWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that cannot send takes in what has come, without waiting for more, and has the turn no longer than
    that."""
    holders: list[int | None] = []
    receptions = note_receptions(server, monkeypatch)
    response = server.request()
    server.answer(response)

    def note_then_receive() -> None:
        holders.append(server.session.turn.holder)
        server.receive_some()

    noted.act = note_then_receive
    send_call(server, body=LARGE)

    assert response.have_response
    assert set(receptions) == {False}
    assert set(holders) == {None}
    assert server.session.turn.holder is None


def test_sender_beside_a_reader(
    server: ThreadedHandMadeServer, noted: NotedWait, other_thread: OtherThread
) -> None:
    """While another thread has the turn a sender waits for room only."""
    response = server.request()
    server.answer(response)
    assert other_thread.run(server.session.turn.take_to_read)
    send_call(server, body=LARGE)

    assert set(noted.calls) == {(-1, server.session.transport.fileno(), 0.05)}
    assert not response.have_response


def test_turn_that_another_thread_takes_meanwhile(
    server: ThreadedHandMadeServer, noted: NotedWait, other_thread: OtherThread
) -> None:
    """When another thread takes the turn while a sender waits, what has come is left to it."""
    response = server.request()
    server.answer(response)

    def take_turn() -> None:
        server.receive_some()
        other_thread.run(server.session.turn.take_to_read)

    noted.act = take_turn
    send_call(server, body=LARGE)

    assert not response.have_response
    assert server.session.turn.holder == other_thread.ident


@pytest.mark.parametrize(("seconds", "expected"), [(20.0, 0.05), (0.02, 0.02)])
def test_sender_with_a_limit(
    server: ThreadedHandMadeServer, noted: NotedWait, clock: Clock, seconds: float, expected: float
) -> None:
    """A sender with a limit waits no longer than that at a time."""
    with server.session.limit_sending(clock.now + seconds):
        send_call(server, body=LARGE)

    assert {round(each or 0, 6) for each in noted.timeouts} == {expected}


def test_background_thread_that_sends(server: ThreadedHandMadeServer, noted: NotedWait) -> None:
    """The background thread checks the server also while it cannot send."""
    server.session.background = get_ident()
    send_call(server, body=LARGE)

    assert server.keep_alive.checks == len(noted.calls) > 0


def test_server_that_breaks_the_rules_while_a_call_is_sent(
    server: ThreadedHandMadeServer, noted: NotedWait
) -> None:
    """A sender that waits for room learns of the end of the connection, and tries no further."""
    noted.act = lambda: server.socket.sendall(bytes(100))
    call = PendingCall()
    send_call(server, call, LARGE)

    assert isinstance(call.call_loss and call.call_loss.__cause__, RemoteProtocolError)
    assert len(noted.calls) == 1
    assert server.session.turn.holder is None


# Signs of life.


def test_ping(server: ThreadedHandMadeServer) -> None:
    """A question for a sign of life is a ping; that it cannot be sent any more is only noted."""
    server.session.ping()
    received = server.receive(1)
    server.socket.close()
    server.session.ping()

    assert received == [Message(m.PING, 1)]
    assert isinstance(server.session.error, ConnectionLost)


def test_bytes_that_no_thread_has_read(
    server: ThreadedHandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether something has come is looked at without waiting, and without taking it."""
    noted = NotedWait()
    monkeypatch.setattr(reading, "wait", noted)
    before = server.session.has_bytes()
    server.send(Message(m.PING, 1))

    assert (before, server.session.has_bytes(), server.session.has_bytes()) == (False, True, True)
    assert set(noted.calls) == {(server.session.transport.fileno(), -1, 0)}


def test_giving_up(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """A server that does not answer is given up: every call ends, and the background thread is woken."""
    call = send_call(server)
    watch.take_events()
    server.session.give_up(Verdict("frozen", "it is silent"))

    assert call.call_loss is not None
    assert call.call_loss.reason == "frozen"
    assert str(call.call_loss) == (
        "Remote server not responding (the server): it is silent; the call was sent, and may have been run"
    )
    assert watch.take_events() == ["wake"]


# The end.


def test_close(server: ThreadedHandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A close tells the background thread when it begins and when it is over, and wakes it in the end."""
    session = server.session
    found: list[tuple[bool, bool, bool]] = []
    monkeypatch.setattr(
        server.watch,
        "wake",
        lambda: found.append((session.is_closing, session.error is not None, session.is_closed)),
    )
    session.close("closed")

    assert found == [(True, True, False), (True, True, True)]
    assert str(session.error) == "closed"


def test_watch_that_is_dropped(server: ThreadedHandMadeServer, watch: NotedWatch) -> None:
    """After its watch was dropped a session has one that does nothing."""
    server.session.release_watch()

    assert type(server.session.watch) is NoWatch
    assert watch.events == []


def test_abandoned_session() -> None:
    """In a forked process the session is given up with its watch, whose descriptors are closed there."""
    server = HandMadeServer(partial(ThreadedSession, keep_alive=KeepAliveOptions(None, None)))
    session: Any = server.session
    call, watch = send_call(server), session.watch
    session.completing = 1
    session.abandon()
    with pytest.raises(ValueError, match="closed"):
        watch.wait(0)
    server.close()

    assert "belongs to the process from which this one was forked" in str(call.call_loss)
    assert (session.completing, session.outstanding) == (0, 0)
    assert type(session.watch) is NoWatch
