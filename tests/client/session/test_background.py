"""The background thread of a ThreadedClient, step by step."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from easycluster_client._observers import Verdict
from easycluster_client._session import background as background_module, session as session_module
from easycluster_client._session.background import EndedThreads
from easycluster_client._session.pending import PendingCall
from easycluster_client._session.watch import NoWatch
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost
from helpers.client_states import another_thread_sends
from helpers.clocks import Clock
from helpers.gates import NotedGate
from helpers.hand_made import drop_proxies, send_call
from helpers.hand_made_threaded import Background, NotedWatch, StepWatch, ThreadedHandMadeServer
from helpers.other_thread import OtherThread


class CompletedCall(PendingCall):
    """A call with a completion function.

    Args:
        complete: the function.
    """

    call_label = "work"

    def __init__(self, complete: Callable[[], object]) -> None:
        self.call_is_watched = True
        self._complete = complete

    def call_complete(self) -> None:
        """Call the completion function."""
        self._complete()


@pytest.fixture
def watch() -> StepWatch:
    """The watch on which the background thread sleeps."""
    return StepWatch()


@pytest.fixture
def server(watch: StepWatch) -> Iterator[ThreadedHandMadeServer]:
    """The other end of the session."""
    server = ThreadedHandMadeServer(watch)
    yield server
    server.close()


@pytest.fixture
def background(server: ThreadedHandMadeServer, watch: StepWatch) -> Iterator[Background]:
    """The background thread, asleep."""
    background = Background(server, watch)
    watch.take_events()
    yield background
    server.session.is_closed = True
    if background.thread.is_alive():
        background.last_step()


def answer(server: ThreadedHandMadeServer, *calls: PendingCall, body: bytes = b"N.") -> None:
    """Answer calls."""
    server.send(*(Message(m.RESULT, call.request_id, body) for call in calls))


def fail(*arguments: object) -> Any:
    """Fail."""
    raise ValueError("it fails")


# Threads that have ended.


def test_ended_threads_are_noted_before_the_thread_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number is there when the background thread is woken for it."""
    ended, watch = EndedThreads(), NotedWatch()
    found: list[list[int]] = []
    monkeypatch.setattr(watch, "wake", lambda: found.append(list(ended.numbers)))
    ended.watch = watch
    ended.add(7)
    ended.add(8)

    assert found == [[7], [7, 8]]


def test_ended_threads_without_a_background_thread() -> None:
    """Where no background thread runs a number is noted, and no thread is woken."""
    ended = EndedThreads()
    ended.add(7)
    ended.wake()

    assert list(ended.numbers) == [7]


def test_server_threads_are_ended(server: ThreadedHandMadeServer, background: Background) -> None:
    """Each server thread whose local thread has ended is ended, once."""
    background.ended.add(7)
    background.ended.add(8)
    background.step()
    background.step()
    send_call(server)

    assert server.receive(3) == [
        Message(m.STOP_THREAD, 0, thread=7),
        Message(m.STOP_THREAD, 0, thread=8),
        Message(m.CALL, 1),
    ]


def test_server_threads_of_a_server_that_has_gone(
    server: ThreadedHandMadeServer, background: Background, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the server has gone its threads have ended with it, which is no failure."""
    server.socket.close()
    background.ended.add(7)
    timeout = background.step()

    assert isinstance(server.session.error, ConnectionLost)
    assert (timeout, capsys.readouterr().err) == (None, "")


# The thread.


def test_background_thread(server: ThreadedHandMadeServer, background: Background) -> None:
    """The thread keeps no interpreter from ending, has a name, looks at once, and is known to its session."""
    before = server.session.background
    background.step()

    assert (background.thread.daemon, background.thread.name) == (True, "easycluster-background")
    assert background.first_timeout == 0.0
    assert (before, server.session.background) == (0, background.thread.ident)
    assert background.ended.watch is server.watch


def test_nothing_to_do(server: ThreadedHandMadeServer, background: Background, watch: StepWatch) -> None:
    """A step with nothing to do arms the watch, and the thread sleeps until it is woken."""
    timeout = background.step()

    assert timeout is None
    assert watch.take_events() == ["arm"]
    assert server.keep_alive.checks == 1


def test_thread_ends_when_the_session_is_closed(
    server: ThreadedHandMadeServer, background: Background
) -> None:
    """When the session is closed the thread calls the completion functions of the lost calls, drops the watch and ends."""
    completed: list[int] = []
    send_call(server, CompletedCall(lambda: completed.append(threading.get_ident())))
    server.session.close("closed")
    background.last_step()

    assert completed == [background.thread.ident]
    assert type(server.session.watch) is NoWatch
    assert background.ended.watch is None


def test_thread_that_ends_beside_a_new_connection(
    server: ThreadedHandMadeServer, background: Background
) -> None:
    """A client that has another connection already goes on waking the thread of that one."""
    new = background.ended.watch = NotedWatch()
    server.session.close("closed")
    background.last_step()

    assert background.ended.watch is new


def test_close_in_a_completion_function(server: ThreadedHandMadeServer, background: Background) -> None:
    """When the session is closed during a step there is one more step, for the calls that the close has lost."""
    completed: list[int] = []
    first = send_call(server, CompletedCall(lambda: server.session.close("closed")))
    send_call(server, CompletedCall(lambda: completed.append(1)))
    answer(server, first)
    background.step(reported=True)
    alive = background.thread.is_alive()
    background.last_step()

    assert alive
    assert completed == [1]


def test_thread_ends_with_its_session(watch: StepWatch) -> None:
    """The thread keeps no session alive: it is woken when that is gone, and ends."""
    server = ThreadedHandMadeServer(watch)
    transport = server.session.transport
    background = Background(server, watch)
    background.step()
    watch.take_events()
    del server.session
    gc.collect()
    woken = watch.take_events()
    background.last_step()
    transport.close()
    server.socket.close()

    assert woken == ["wake"]
    assert background.ended.watch is None


def test_step_that_fails(
    server: ThreadedHandMadeServer,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error in a step is printed, and the thread goes on after a pause."""
    monkeypatch.setattr(server.keep_alive, "check", fail)
    timeout = background.step()
    monkeypatch.undo()
    printed = capsys.readouterr().err

    assert timeout == 1.0
    assert printed.startswith("Exception in the background thread, with the server:\nTraceback (most recent")
    assert printed.endswith("ValueError: it fails\n")
    assert background.step() is None


class FailingOutput:
    """A standard error that fails."""

    def write(self, text: str) -> None:
        """Fail."""
        raise OSError("no space left")


@pytest.mark.parametrize("output", [None, FailingOutput()])
def test_step_that_fails_unseen(
    server: ThreadedHandMadeServer,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
    output: FailingOutput | None,
) -> None:
    """An error that cannot be printed ends no thread."""
    monkeypatch.setattr(server.keep_alive, "check", fail)
    monkeypatch.setattr(sys, "stderr", output)

    assert background.step() == 1.0


def test_step_that_fails_after_a_close(server: ThreadedHandMadeServer, background: Background) -> None:
    """A thread whose last step fails ends all the same."""
    server.session.close("closed")
    send = CompletedCall(fail)
    server.session.arrived.append(send)
    background.last_step()

    assert server.session.arrived == []


# Reading.


def test_reading(server: ThreadedHandMadeServer, background: Background, watch: StepWatch) -> None:
    """When the watch reports something the thread reads all that is there, and gives back the turn."""
    calls = [send_call(server) for _ in range(3)]
    answer(server, *calls, body=bytes(50_000))
    watch.take_events()
    background.step()
    before = [call.call_is_answered for call in calls]
    background.step(reported=True)

    assert before == [False] * 3
    assert [call.call_is_answered for call in calls] == [True] * 3
    assert server.session.turn.holder is None
    assert not server.session.turn.reading.locked()
    assert watch.take_events() == ["arm", "arm"]


def test_reading_what_an_interrupted_reader_left(
    server: ThreadedHandMadeServer, background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an interrupted reader has left half done is finished without a report of the watch."""
    call = send_call(server)
    answer(server, call)
    deliver = server.session._channel._receiver.deliver

    def interrupted(callback: Any) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(server.session._channel._receiver, "deliver", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.session.read(block=True)
    monkeypatch.setattr(server.session._channel._receiver, "deliver", deliver)
    left = server.session.has_leftovers
    background.step()

    assert left
    assert call.call_is_answered


@pytest.mark.parametrize("why", ["completion", "gate"])
def test_reading_pauses_for_others(server: ThreadedHandMadeServer, background: Background, why: str) -> None:
    """Completion functions and threads that wait for their turn do not wait until a stream of answers has an end."""
    completed: list[bool] = []
    second = PendingCall()
    first = (
        CompletedCall(lambda: completed.append(second.call_is_answered))
        if why == "completion"
        else PendingCall()
    )
    gate = NotedGate()
    if why == "gate":
        server.session.turn.gates[gate] = PendingCall()
    send_call(server, first)
    send_call(server, second)
    answer(server, first, body=bytes(50_000))
    answer(server, second, body=bytes(50_000))
    background.step(reported=True)
    answered = [first.call_is_answered, second.call_is_answered]
    background.step(reported=True)

    assert answered == [True, False]
    assert second.call_is_answered
    assert completed == ([False] if why == "completion" else [])
    assert gate.openings == (1 if why == "gate" else 0)  # the turn is handed to it


def test_reading_beside_a_reader(
    server: ThreadedHandMadeServer, background: Background, watch: StepWatch
) -> None:
    """While another thread reads the thread leaves the connection to it, and the watch disarmed."""
    call = send_call(server)
    answer(server, call)
    watch.take_events()
    with server.session.turn.reading:
        background.step(reported=True)

    assert not call.call_is_answered
    assert server.session.turn.holder is None
    assert watch.take_events() == []


def test_turn_of_a_thread_that_does_not_read(
    server: ThreadedHandMadeServer, background: Background, other_thread: OtherThread
) -> None:
    """A thread that has the turn and does not read is looked at twice; then it was interrupted, and is read past. As
    long as it has the turn no further look is taken."""
    turn = server.session.turn
    assert other_thread.run(turn.take_to_read)
    calls = [send_call(server) for _ in range(2)]
    answer(server, calls[0])
    pauses = [background.step(reported=True), background.step()]
    before = calls[0].call_is_answered
    last = background.step()
    first = calls[0].call_is_answered
    answer(server, calls[1])
    again = background.step(reported=True)

    assert pauses == [0.001, 0.05]
    assert (before, first, last) == (False, True, None)
    assert (calls[1].call_is_answered, again) == (True, None)
    assert turn.holder == other_thread.ident


@pytest.mark.parametrize("looks", [1, 2])
def test_turn_of_a_thread_that_begins_to_read(
    server: ThreadedHandMadeServer, background: Background, other_thread: OtherThread, looks: int
) -> None:
    """When the thread that has the turn begins to read meanwhile, the connection is left to it."""
    turn = server.session.turn
    assert other_thread.run(turn.take_to_read)
    call = send_call(server)
    answer(server, call)
    background.step(reported=True)
    for _ in range(looks - 1):
        background.step()
    with turn.reading:
        timeout = background.step()

    assert timeout is None
    assert not call.call_is_answered
    assert turn.holder == other_thread.ident


@pytest.mark.parametrize("looks", [1, 2])
def test_turn_that_is_given_back_meanwhile(
    server: ThreadedHandMadeServer, background: Background, other_thread: OtherThread, looks: int
) -> None:
    """When the turn is given back meanwhile, the thread takes it and reads."""
    turn = server.session.turn
    assert other_thread.run(turn.take_to_read)
    call = send_call(server)
    answer(server, call)
    background.step(reported=True)
    for _ in range(looks - 1):
        background.step()
    other_thread.run(turn.hand_over)
    background.step()

    assert call.call_is_answered
    assert turn.holder is None


def test_turn_that_goes_to_another_thread_meanwhile(
    server: ThreadedHandMadeServer, background: Background, other_thread: OtherThread
) -> None:
    """A thread that takes the turn meanwhile is given its time, too."""
    turn, third = server.session.turn, OtherThread()
    assert other_thread.run(turn.take_to_read)
    call = send_call(server)
    answer(server, call)
    pauses = [background.step(reported=True)]
    other_thread.run(turn.hand_over)
    assert third.run(turn.take_to_read)
    pauses += [background.step(), background.step()]
    before = call.call_is_answered
    background.step()
    third.close()

    assert pauses == [0.001, 0.001, 0.05]
    assert (before, call.call_is_answered) == (False, True)


def test_turn_is_given_back_after_an_error(
    server: ThreadedHandMadeServer,
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error of reading leaves the turn to others."""
    monkeypatch.setattr(server.session, "receive_in_background", fail)
    background.step(reported=True)

    assert server.session.turn.holder is None
    assert "ValueError: it fails" in capsys.readouterr().err


# The end.


def test_end_of_the_stream(server: ThreadedHandMadeServer, background: Background, watch: StepWatch) -> None:
    """The end of the connection is noted, its calls are completed, and the watch is not armed any more."""
    completed: list[int] = []
    call = send_call(server, CompletedCall(lambda: completed.append(1)))
    server.receive(1)
    server.socket.close()
    watch.take_events()
    timeout = background.step(reported=True)
    background.step(reported=True)

    assert str(call.call_loss) == (
        "the connection ended (the server); the call of work was sent, and may have been run"
    )
    assert (completed, timeout) == ([1], None)
    assert watch.take_events() == ["wake"]
    assert background.thread.is_alive()


@pytest.mark.parametrize("why", ["lost", "closing"])
def test_steps_after_the_end(server: ThreadedHandMadeServer, background: Background, why: str) -> None:
    """Once the connection has ended, or is being closed, only completion functions are left to be called."""
    if why == "lost":
        server.session.give_up(Verdict("frozen", "it is silent"))
    else:
        server.session.is_closing = True
    completed: list[int] = []
    server.session.arrived.append(CompletedCall(lambda: completed.append(1)))
    drop_proxies(server, 5)
    background.ended.add(7)
    timeout = background.step(reported=True)

    assert (completed, timeout) == ([1], None)
    assert server.keep_alive.checks == 0
    assert list(background.ended.numbers) == [7]
    assert server.session.garbage_noted


# Checks.


@pytest.mark.parametrize(
    ("seconds", "is_left", "expected"),
    [(None, False, None), (7.0, False, 7.0), (None, True, 0.05), (7.0, True, 0.05), (0.01, True, 0.01)],
)
def test_next_step(
    server: ThreadedHandMadeServer,
    background: Background,
    seconds: float | None,
    is_left: bool,
    expected: float | None,
) -> None:
    """The next step comes when the first of all checks is due: that of the server, and that of messages that were left."""
    server.keep_alive.answer = seconds
    with another_thread_sends(server.session._channel):
        if is_left:
            server.session.ping()
        timeout = background.step()

    assert timeout == expected


def test_messages_that_were_left(server: ThreadedHandMadeServer, background: Background) -> None:
    """Messages that were left to a sender which was interrupted are sent."""
    with another_thread_sends(server.session._channel):
        server.session.ping()
    timeout = background.step()

    assert server.receive(1) == [Message(m.PING, 1)]
    assert timeout is None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which receipts wait."""
    clock = Clock()
    monkeypatch.setattr(background_module, "monotonic", clock.monotonic)
    return clock


def test_giving_back(server: ThreadedHandMadeServer, background: Background, clock: Clock) -> None:
    """Receipts wait for a call that takes them along; after a short time they are given back by themselves."""
    drop_proxies(server, 5)
    first = background.step()
    clock.now += 0.02
    drop_proxies(server, 6)
    second = background.step()
    clock.now = 1000.05
    third = background.step()

    assert first == pytest.approx(0.05)
    assert second == pytest.approx(0.03)
    assert third is None
    assert server.receive(1) == [Message(m.RELEASE, 0, releases=[(5, 1), (6, 1)])]
    assert not server.session.garbage_noted


def test_giving_back_again(server: ThreadedHandMadeServer, background: Background, clock: Clock) -> None:
    """What is dropped later waits for its own time."""
    for oid in (5, 6):
        drop_proxies(server, oid)
        assert background.step() == pytest.approx(0.05)
        clock.now += 0.06
        assert background.step() is None

    assert [message.releases for message in server.receive(2)] == [[(5, 1)], [(6, 1)]]


def test_giving_back_before_the_next_check(
    server: ThreadedHandMadeServer, background: Background, clock: Clock
) -> None:
    """A check of the server that is due later does not put off the giving back."""
    server.keep_alive.answer = 7.0
    drop_proxies(server, 5)

    assert background.step() == pytest.approx(0.05)


def test_receipts_that_a_call_has_taken_along(
    server: ThreadedHandMadeServer, background: Background, clock: Clock
) -> None:
    """When a call has taken the receipts along, nothing is sent for them."""
    drop_proxies(server, 5)
    background.step()
    send_call(server)
    clock.now += 1
    timeout = background.step()
    send_call(server)

    assert [message.kind for message in server.receive(2)] == [m.CALL, m.CALL]
    assert timeout is None
    assert not server.session.garbage_noted


def test_receipts_that_the_kernel_does_not_take(
    server: ThreadedHandMadeServer, background: Background, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the kernel takes nothing the receipts stay, and the thread tries again soon."""
    drop_proxies(server, 5)
    background.step()
    clock.now += 1
    monkeypatch.setattr(session_module, "wait", lambda read, write, timeout: (False, False))
    timeouts = [background.step(), background.step()]
    noted = server.session.garbage_noted
    monkeypatch.undo()
    monkeypatch.setattr(background_module, "monotonic", clock.monotonic)
    clock.now += 1
    background.step()

    assert timeouts == [0.05, pytest.approx(0.05)]
    assert noted
    assert server.receive(1) == [Message(m.RELEASE, 0, releases=[(5, 1)])]


def test_proxy_that_is_dropped_while_others_are_given_back(
    server: ThreadedHandMadeServer, background: Background, clock: Clock, watch: StepWatch
) -> None:
    """A finaliser that comes while receipts are given back wakes the thread again."""
    drop_proxies(server, 5)
    background.step()
    clock.now += 1
    give_back = server.session.give_back

    def drop_meanwhile() -> None:
        give_back()
        watch.take_events()
        drop_proxies(server, 6)

    server.session.give_back = drop_meanwhile  # type: ignore[method-assign]
    background.step()

    assert watch.take_events() == ["wake", "arm"]
    assert server.session.garbage_noted


# Completion functions.


def test_completion_functions(server: ThreadedHandMadeServer, background: Background) -> None:
    """Each completion function is called once, in the order of the answers, in the background thread; its call counts as
    outstanding until it ends, and wakes the threads that wait for it then."""
    gate, other = NotedGate(), NotedGate()
    seen: list[tuple[int, int, int, int]] = []

    def complete(number: int) -> None:
        session = server.session
        seen.append((number, len(session.arrived), session.outstanding, gate.openings))

    calls = [CompletedCall(partial(complete, number)) for number in range(2)]
    for call in calls:
        send_call(server, call)
    answer(server, *calls)
    server.session.turn.gates[other] = PendingCall()
    background.step(reported=True)
    server.session.arrived.append(calls[0])
    server.session.turn.gates.update({gate: calls[0], other: PendingCall()})
    background.step()

    assert seen == [(0, 1, 2, 0), (1, 0, 1, 0), (0, 0, 1, 0)]
    assert (gate.openings, other.openings) == (1, 1)  # the other one by the turn that was handed over
    assert server.session.outstanding == 0


@pytest.mark.parametrize("error", [ValueError("it fails"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_completion_function_that_fails(
    server: ThreadedHandMadeServer,
    background: Background,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
) -> None:
    """An error of a completion function is printed with the name of its call, and the others are called."""
    completed: list[int] = []

    def complete() -> None:
        raise error

    server.session.arrived += [CompletedCall(complete), CompletedCall(lambda: completed.append(1))]
    timeout = background.step()
    printed = capsys.readouterr().err

    assert printed.startswith("Exception in a completion function of work(), with the server:\nTraceback ")
    assert type(error).__name__ in printed
    assert (completed, timeout, server.session.completing) == ([1], None, 0)
