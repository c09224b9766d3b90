"""How the master's side of a connection ends: for which reason, in which order, and what every call gets then."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from easycluster_client._session import closing
from easycluster_client._session.closing import SessionEnd
from easycluster_client._session.pending import PendingCall, PendingCalls
from easycluster_client._session.read_turn import ReadTurn
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import CLOSED, FAILED
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from easycluster_server._io.channel import Channel
from easycluster_server._io.transport import EndOfStream, SocketTransport, wait
from helpers.clocks import Clock
from helpers.gates import NotedGate
from helpers.hand_made import HandMadeServer, Waiter, start_reader
from helpers.other_thread import OtherThread
from helpers.pair import LinkPair, take_messages
from helpers.waiting import PATIENCE, wait_until
from helpers.waits import NotedWait

ENDED = "the connection ended (the server)"
MAYBE_RUN = "; the call was sent, and may have been run"


class Ending:
    """The end of a connection, and all that ends with it; two calls are under way.

    Attributes:
        socket: the socket.
        peer: its other end.
        link: the protocol machine of the other end.
        ended: an entry for each time that the end was reported: whether the turn was over then.
    """

    def __init__(self) -> None:
        links = LinkPair()
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(PATIENCE)
        self.link = links.server
        self.socket = ours
        self.channel = Channel(links.client, SocketTransport(ours))
        self.calls = PendingCalls()
        self.turn = ReadTurn()
        self.ended: list[bool] = []
        self.under_way = [PendingCall(), PendingCall()]
        for number, call in enumerate(self.under_way, 1):
            call.call_is_sent = True
            self.calls.by_number[number] = call
        self.end = SessionEnd(
            self.channel,
            "the server",
            self.calls,
            self.turn,
            lambda: self.ended.append(self.turn.error is not None),
        )

    @property
    def text(self) -> str:
        """Why the connection ended."""
        return str(self.end.error)

    def received(self) -> list[Message]:
        """Return what the server gets until the end of the stream."""
        while data := self.peer.recv(1 << 20):
            self.link.receive_data(data)
        return take_messages(self.link)

    def break_connection(self) -> OSError:
        """Return the error of a connection that breaks."""
        self.peer.close()
        try:
            self.channel.send(Message(m.PING, 1))
        except OSError as error:
            return error
        raise AssertionError("the connection is whole")


@pytest.fixture
def ending() -> Iterator[Ending]:
    """A connection that is open."""
    ending = Ending()
    yield ending
    ending.peer.close()
    ending.socket.close()


def of_a_handler() -> TimeoutError:
    """The error that many signal handlers raise, which is an OSError."""
    return TimeoutError("too late")


def of_the_transport() -> TypeError:
    """An error that the transport raises because it is used wrongly."""
    try:
        wait(cast("int", "no descriptor"), -1, 0)
    except TypeError as error:
        return error
    raise AssertionError("a text is no descriptor")


# The reason.


def test_open_connection(ending: Ending) -> None:
    """An open connection has no error, and the check passes."""
    ending.end.check_open()

    assert ending.end.error is None
    assert ending.ended == []


def test_each_caller_has_an_error_of_its_own(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that are made for the end have its text and cause, and no two are the same object."""
    blocked: list[int] = []
    monkeypatch.setattr(closing, "block_at_exit", lambda: blocked.append(1))
    cause = ValueError("deeper")
    ending.end.fail("it ended", cause)
    blocked.clear()
    errors = [ending.end.new_error() for _ in range(2)]
    with pytest.raises(ConnectionLost) as caught:
        ending.end.check_open()
    errors.append(caught.value)

    assert [str(error) for error in errors] == ["it ended"] * 3
    assert [error.__cause__ for error in errors] == [cause] * 3
    assert len({id(error) for error in (*errors, ending.end.error)}) == 4
    assert blocked == [1, 1, 1]  # where the interpreter ends the thread does not go on


def test_first_reason_counts(ending: Ending) -> None:
    """Later reasons change nothing, but calls and threads that came meanwhile get the first one, too."""
    ending.end.fail("first")
    late, gate = PendingCall(), NotedGate()
    late.call_is_sent = True
    ending.calls.by_number[3] = late
    ending.turn.gates[gate] = None
    ending.end.fail("second", ValueError("deeper"))

    assert ending.text == "first"
    assert str(late.call_loss) == f"first{MAYBE_RUN}"
    assert ending.end.error is not None
    assert ending.end.error.__cause__ is None
    assert gate.openings == 1
    assert ending.ended == [True, True]


def test_cause_keeps_nothing_alive(ending: Ending) -> None:
    """The error behind the end is kept without its stack trace, which would hold all that its frames hold."""
    try:
        raise ValueError("deeper")
    except ValueError as error:
        ending.end.fail("it ended", error)

    assert ending.end.error is not None
    assert ending.end.error.__cause__ is not None
    assert ending.end.error.__cause__.__traceback__ is None


def test_every_call_is_lost(ending: Ending) -> None:
    """Each call under way gets an error of its own, and is under way no more."""
    ending.end.fail("it ended")

    assert [str(call.call_loss) for call in ending.under_way] == [f"it ended{MAYBE_RUN}"] * 2
    assert (
        len({id(error) for error in (ending.end.error, *(call.call_loss for call in ending.under_way))}) == 3
    )
    assert ending.calls.by_number == {}


def test_threads_wake_when_everything_is_lost(ending: Ending) -> None:
    """A thread that is woken by the end finds its own call lost, even if it was not under way, and the turn over."""
    found: list[tuple[bool, bool, str]] = []
    call = PendingCall()
    gate = NotedGate(
        lambda: found.append((call.call_is_answered, ending.turn.error is not None, ending.text))
    )
    anything = NotedGate()
    ending.turn.gates.update({gate: call, anything: None})
    ending.end.fail("it ended")

    assert found == [(True, True, "it ended")]
    assert str(call.call_loss) == f"it ended{MAYBE_RUN}"
    assert call.call_loss is not ending.end.error
    assert (anything.openings, ending.turn.gates) == (1, {})
    assert ending.ended == [True]


def test_server_learns_of_the_end(ending: Ending) -> None:
    """The connection is shut down at once, also for a thread that reads, and stays to be closed."""
    ending.end.fail("it ended")

    assert ending.peer.recv(1) == b""
    assert ending.channel.transport.fileno() >= 0


def test_turn_is_over_before_the_stream_ends(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that sees the stream end finds the reason there."""
    found: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        ending.channel.transport,
        "shutdown",
        lambda: found.append((ending.text, ending.turn.error is not None)),
    )
    ending.end.fail("it ended")

    assert found == [("it ended", True)]


# Which errors mean the end.


def test_errors_of_sending_that_mean_the_end(ending: Ending) -> None:
    """An error of the transport means the end; those of handlers, of messages and of interrupts do not."""
    others: list[BaseException] = [
        of_a_handler(),
        LocalProtocolError("no"),
        ValueError(),
        KeyboardInterrupt(),
    ]
    found = [ending.end.is_end(error) for error in (*others, KeyboardInterrupt())]

    assert found == [False] * 5
    assert ending.end.is_end(ending.break_connection())


@pytest.mark.parametrize("state", ["ended", CLOSED, FAILED])
def test_errors_of_sending_after_the_end(ending: Ending, state: str) -> None:
    """Once the connection has ended, or this end says nothing more, every error means that; an interrupt does not."""
    if state == "ended":
        ending.end.fail("it ended")
    elif state == CLOSED:
        ending.channel.send(Message(m.CLOSE))
    else:
        with pytest.raises(RemoteProtocolError):
            ending.channel.link.receive_data(bytes(100))
            take_messages(ending.channel.link)
    errors: list[BaseException] = [
        of_a_handler(),
        LocalProtocolError("no"),
        ValueError(),
        KeyboardInterrupt(),
    ]

    assert [ending.end.is_end(error) for error in errors] == [True, True, True, False]


def test_end_of_the_stream(ending: Ending) -> None:
    """Where nothing more comes the connection has ended, and the text says so and names the server."""
    ending.end.note_receive_error(EndOfStream("nothing more"))

    assert ending.text == ENDED
    assert ending.end.error is not None
    assert ending.end.error.__cause__ is None


def test_end_of_the_stream_within_a_message(ending: Ending) -> None:
    """Where the stream ends in the middle of a message the text says that."""
    ending.channel.link.receive_data(ending.link.data_to_send(Message(m.PING, 1))[:-1])
    ending.end.note_receive_error(EndOfStream("nothing more"))

    assert ending.text == "the connection ended in the middle of a message (the server)"


def test_broken_rules(ending: Ending) -> None:
    """A server that breaks the rules loses the connection, and the text says which rule."""
    error = RemoteProtocolError("it said what it may not")
    ending.end.note_receive_error(error)

    assert ending.text == (
        "the connection to the server cannot be used any more: it said what it may not"
        " (a proxy, tunnel or command in between must pass every byte unchanged)"
    )
    assert ending.end.error is not None
    assert ending.end.error.__cause__ is error


def test_broken_connection(ending: Ending) -> None:
    """A connection that breaks is lost, and the text holds the system's reason."""
    error = ending.break_connection()
    ending.end.note_receive_error(error)

    assert ending.text == "the connection to the server was lost: [Errno 32] Broken pipe"
    assert ending.end.error is not None
    assert ending.end.error.__cause__ is error


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_system_that_finds_no_peer(ending: Ending, number: int) -> None:
    """What the system says of a peer that has vanished has the beginning of all such texts."""
    ending.end.lose_server("the connection was lost", OSError(number, "no peer"))

    assert ending.text == f"Remote server not responding (the server): [Errno {number}] no peer"


@pytest.mark.parametrize("error", [of_a_handler(), ValueError("of a handler"), of_the_transport()], ids=repr)
def test_errors_of_handlers_are_raised(ending: Ending, error: Exception) -> None:
    """An error that a signal handler raised while something was received is raised, and the connection stays."""
    with pytest.raises(type(error)) as caught:
        ending.end.note_receive_error(error)

    assert caught.value is error
    assert ending.end.error is None


# Sending for which no thread waits.


def test_sending_for_which_no_thread_waits(ending: Ending) -> None:
    """The value of a step that succeeds is returned."""
    assert ending.end.note_loss(lambda: 7) == 7
    assert ending.end.error is None


@pytest.mark.parametrize("error", [ConnectionLost("ended"), LocalProtocolError("closed")], ids=repr)
def test_sending_after_the_end(ending: Ending, error: Exception) -> None:
    """That the connection has ended meanwhile, or says nothing more, is silence and no reason."""

    def send() -> int:
        raise error

    assert ending.end.note_loss(send) is None
    assert ending.end.error is None


def test_connection_that_breaks_unnoticed(ending: Ending) -> None:
    """A connection that breaks under such a step ends, and nothing is raised."""
    error = ending.break_connection()

    def send() -> int:
        raise error

    assert ending.end.note_loss(send) is None
    assert ending.text == "the connection to the server was lost: [Errno 32] Broken pipe"


@pytest.mark.parametrize("error", [of_a_handler(), ValueError("of a handler")], ids=repr)
def test_error_of_a_handler_while_something_is_sent(ending: Ending, error: Exception) -> None:
    """An error of a signal handler that comes meanwhile is raised, and the connection stays."""

    def send() -> int:
        raise error

    with pytest.raises(type(error)) as caught:
        ending.end.note_loss(send)

    assert caught.value is error
    assert ending.end.error is None


# Closing.


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> NotedWait:
    """The waits of closing."""
    noted = NotedWait()
    monkeypatch.setattr(closing, "wait", noted)
    return noted


def test_close(ending: Ending, noted: NotedWait) -> None:
    """A close says goodbye, ends every call with its text, and closes the descriptor; with no call under way it waits
    for nothing."""
    ending.calls.by_number.clear()
    ending.end.close("closed by hand")

    assert ending.received() == [Message(m.CLOSE)]
    assert ending.text == "closed by hand"
    assert ending.channel.transport.fileno() == -1
    assert noted.calls == []
    assert ending.ended == [True]


def test_close_waits_for_the_end_of_the_server(ending: Ending, noted: NotedWait) -> None:
    """While answers are under way a close takes them in until the server has ended, or its reset would be a loss."""
    descriptor = ending.channel.transport.fileno()
    arrived: list[bool] = []

    def answer_then_end() -> None:
        arrived.append(ending.turn.reading.locked())
        if len(noted.calls) == 1:
            ending.peer.sendall(ending.link.data_to_send(Message(m.RESULT, 1, b"N.")))
        else:
            ending.peer.shutdown(socket.SHUT_WR)

    noted.act = answer_then_end
    ending.end.close("closed by hand")

    assert [call[:2] for call in noted.calls] == [(descriptor, -1)] * 2
    assert [str(call.call_loss) for call in ending.under_way] == ["closed by hand"] * 2
    assert [call.call_answer for call in ending.under_way] == [None] * 2
    assert ending.received() == [Message(m.CLOSE)]
    assert arrived == [False, False]
    assert not ending.turn.reading.locked()


def test_close_waits_for_a_short_time_only(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not end is waited for two seconds."""
    clock = Clock()
    noted = NotedWait(wait=clock.wait)
    monkeypatch.setattr(closing, "time", clock)
    monkeypatch.setattr(closing, "wait", noted)
    ending.end.close("closed by hand")

    assert noted.timeouts == [2.0]
    assert clock.now == 1002.0
    assert ending.channel.transport.fileno() == -1


def test_close_goes_on_waiting_after_an_answer(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes during a close does not make it last longer."""
    clock = Clock()
    noted = NotedWait(wait=clock.wait)
    monkeypatch.setattr(closing, "time", clock)
    monkeypatch.setattr(closing, "wait", noted)

    def answer() -> None:
        clock.now += 0.75
        ending.peer.sendall(ending.link.data_to_send(Message(m.PING, 1)))

    noted.act = answer
    ending.end.close("closed by hand")

    assert noted.timeouts == [2.0, 1.25, 0.5]


def test_close_beside_a_reader(ending: Ending, noted: NotedWait, other_thread: OtherThread) -> None:
    """While another thread has the turn a close leaves the rest of the stream to it."""
    assert other_thread.run(ending.turn.take_to_read)
    ending.end.close("closed by hand")

    assert noted.calls == []
    assert ending.received() == [Message(m.CLOSE)]


def test_close_that_cannot_say_goodbye(
    ending: Ending, noted: NotedWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel takes nothing at once a close neither waits for that nor for the server."""
    monkeypatch.setattr(ending.channel, "send_at_once", lambda message: False)
    ending.end.close("closed by hand")

    assert noted.calls == []
    assert ending.received() == []
    assert ending.text == "closed by hand"


@pytest.mark.parametrize("why", ["broken", "said before"])
def test_close_of_a_connection_that_is_over_already(ending: Ending, noted: NotedWait, why: str) -> None:
    """A goodbye that cannot be said is no error of the close."""
    if why == "broken":
        ending.break_connection()
    else:
        ending.channel.send(Message(m.CLOSE))
    ending.end.close("closed by hand")

    assert noted.calls == []
    assert ending.text == "closed by hand"
    assert ending.channel.transport.fileno() == -1


def test_close_after_the_end(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that has ended is closed without a word, and keeps its reason; it may be closed again."""
    monkeypatch.setattr(ending.channel, "send_at_once", lambda message: pytest.fail("it said something"))
    ending.end.fail("it ended")
    for _ in range(2):
        ending.end.close("closed by hand")

    assert ending.text == "it ended"
    assert ending.channel.transport.fileno() == -1


def test_server_that_goes_while_the_connection_is_closed(
    ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When another thread sees the server go before a close is done, the close is the reason all the same."""

    def server_goes(message: Message) -> bool:
        ending.end.fail("the server went")
        return False

    monkeypatch.setattr(ending.channel, "send_at_once", server_goes)
    ending.end.close("closed by hand")

    assert ending.text == "closed by hand"
    assert [str(call.call_loss) for call in ending.under_way] == ["closed by hand"] * 2


def test_interrupt_of_a_close(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    """A close that is interrupted while it says goodbye loses no call: it can be repeated."""

    def interrupted(message: Message) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(ending.channel, "send_at_once", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ending.end.close("closed by hand")
    calls = list(ending.calls.by_number.values())
    monkeypatch.undo()
    monkeypatch.setattr(ending.channel, "send_at_once", lambda message: False)
    ending.end.close("closed again")

    assert calls == ending.under_way
    assert [str(call.call_loss) for call in ending.under_way] == ["closed by hand"] * 2


# After a fork.


def test_abandoned_connection(ending: Ending) -> None:
    """A forked process closes its own descriptor and nothing else: the parent's connection goes on."""
    told: list[PendingCall] = []
    ending.under_way[0].call_add_watcher(told.append)
    parents = ending.socket.dup()
    ending.end.abandon()
    parents.sendall(b"x")

    text = "the connection to the server belongs to the process from which this one was forked: connect() again here"
    assert ending.peer.recv(10) == b"x"
    assert [str(call.call_loss) for call in ending.under_way] == [text] * 2
    assert ending.under_way[0].call_loss is not ending.under_way[1].call_loss
    assert ending.text == text
    assert (told, ending.calls.by_number, ending.turn.error is not None) == ([], {}, True)
    assert ending.channel.transport.fileno() == -1
    assert ending.ended == []
    parents.close()


def test_abandoned_connection_that_had_ended(ending: Ending) -> None:
    """After a fork that reason counts, whatever came before or comes later."""
    ending.end.fail("it ended")
    ending.end.abandon()
    ending.end.fail("again")

    assert ending.text.startswith("the connection to the server belongs to the process")


# The end of a whole session.


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
        (
            break_rules,
            (
                r"the connection to the server cannot be used any more: the peer sent something that is not a frame: "
                r"b'.*' \(a proxy, tunnel or command in between must pass every byte unchanged\)"
            ),
        ),
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
    channel = server.session._channel
    send_at_once = channel.send_at_once

    def answer_then_send(message: Message) -> bool:
        server.answer(response, value="interrupted")
        server.session.read(block=True)
        server.socket.shutdown(socket.SHUT_WR)
        return send_at_once(message)

    monkeypatch.setattr(channel, "send_at_once", answer_then_send)
    server.session.close("closed by hand")

    with pytest.raises(ConnectionLost, match="closed by hand"):
        response.wait()
