"""The connection is cut at each byte of a call and of its answer: the call runs at most once, and its error says whether
it may have been run. The kernel and the server are played by the test."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from easycluster_client._session.pending import PendingCall
from easycluster_client._session.session import ClientSession
from easycluster_protocol._wire import messages as m, sender
from easycluster_protocol._wire.link import CLIENT, SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallNotSent, OutcomeUnknown
from easycluster_server._io.transport import SocketTransport
from helpers.checkpoints import places, strike
from helpers.cuts import CutSocket, raise_in_the_kernel
from helpers.pair import MODES, LinkPair, Mode, take_messages

#: How many bytes the kernel takes if there is no cut.
WHOLE = 1 << 30

SMALL = b"small"
#: Takes several groups of frames with the limits below.
LARGE = bytes(range(256)) * 2


class Run(NamedTuple):
    """One connection.

    Attributes:
        socket: the kernel's end of it, for the client.
        session: the session under test.
        server: the protocol machine of the server.
    """

    socket: CutSocket
    session: ClientSession
    server: Link

    def executed(self) -> list[Message]:
        """Return the calls that are complete on the server."""
        self.server.receive_data(self.socket.taken)
        self.socket.taken = b""
        return take_messages(self.server)


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> Mode:
    """Each kind of connection."""
    return MODES[request.param]


@pytest.fixture
def new_run(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Run]:
    """Makes connections of one mode whose kernel takes a number of bytes."""
    monkeypatch.setattr(sender, "MAX_SMALL_BODY", 100)
    monkeypatch.setattr(sender, "MAX_FRAME_BYTES", 128)
    monkeypatch.setattr(sender, "_KEYED_PIECE_BYTES", 128)
    links = LinkPair(mode)
    agreements = links.client.agreement, links.server.agreement

    def make(limit: int, piece: int = WHOLE) -> Run:
        connection: Any = CutSocket(limit, piece)
        session = ClientSession(Link(CLIENT, agreements[0]), SocketTransport(connection), "the server")
        return Run(connection, session, Link(SERVER, agreements[1]))

    return make


def request(session: ClientSession, body: bytes, call: PendingCall | None = None) -> PendingCall:
    """Make a call."""
    found = PendingCall() if call is None else call
    session.request(found, m.CALL, body, (), 0)
    return found


def wait_for_end(run: Run, call: PendingCall) -> None:
    """Wait for the answer of a call; then the connection has ended."""
    run.socket.has_ended = True
    run.session.wait(call)


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_each_byte_of_the_call(new_run: Callable[[int], Run], body: bytes) -> None:
    """A call of which the kernel did not get the last byte was not sent, and is not complete on the server; with the
    last byte it may have been run."""
    whole = new_run(WHOLE)
    request(whole.session, body)
    size = len(whole.socket.taken)
    assert len(whole.executed()) == 1
    for limit in range(size + 1):
        run = new_run(limit)
        call = request(run.session, body)
        wait_for_end(run, call)

        assert type(call.call_loss) is (CallNotSent if limit < size else OutcomeUnknown), limit
        assert call.call_loss.started is (False if limit < size else None), limit
        assert len(run.executed()) == (limit == size), limit


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_each_byte_of_the_answer(new_run: Callable[[int], Run], body: bytes) -> None:
    """A call whose answer is not complete may have been run; it was begun if its answer had begun, as far as that can
    be seen. With the last byte it has its answer."""
    run = new_run(WHOLE)
    answer = run.server.data_to_send(Message(m.RESULT, 1, body))
    begun: list[bool | None] = []
    for size in range(len(answer) + 1):
        run = new_run(WHOLE)
        call = request(run.session, SMALL)
        run.socket.incoming = answer[:size]
        wait_for_end(run, call)
        if size == len(answer):
            assert (call.call_loss, call.call_answer) == (None, Message(m.RESULT, 1, body))
        else:
            assert type(call.call_loss) is OutcomeUnknown, size
            begun.append(call.call_loss.started)

    assert sorted(begun, key=bool) == begun
    assert set(begun) == ({None} if body is SMALL else {None, True})


def test_answer_that_came_before_the_cut(new_run: Callable[[int], Run]) -> None:
    """An answer that came before another call finds the connection broken is no loss."""
    run = new_run(WHOLE)
    first = request(run.session, SMALL)
    run.socket.incoming = run.server.data_to_send(Message(m.RESULT, 1, b"answer"))
    run.socket.limit = len(run.socket.taken)
    second = request(run.session, SMALL)

    assert first.call_answer == Message(m.RESULT, 1, b"answer")
    assert type(second.call_loss) is CallNotSent


def test_call_that_another_message_follows(new_run: Callable[[int], Run]) -> None:
    """A call that was sent may have been run, although the message which another thread has left to it, and which it
    takes along, finds the connection broken."""
    run = new_run(WHOLE)
    request(run.session, SMALL)
    size = len(run.socket.taken)
    for limit in range(size, size + 10):
        run = new_run(limit)
        run.session._channel._posted.append(Message(m.PING, 1))
        call = request(run.session, SMALL)

        assert type(call.call_loss) is OutcomeUnknown, limit
        assert run.session.error is not None
        assert len(run.executed()) >= 1


def test_call_with_a_limit_that_another_message_follows(new_run: Callable[[int], Run]) -> None:
    """The same for a call with a limit."""
    run = new_run(WHOLE)
    request(run.session, SMALL)
    run = new_run(len(run.socket.taken))
    run.session._channel._posted.append(Message(m.PING, 1))
    with run.session.limit_sending(float("inf")):
        call = request(run.session, SMALL)

    assert type(call.call_loss) is OutcomeUnknown


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # in a generator that is closed
@pytest.mark.parametrize("mode", [MODES["keyed"]], ids=["keyed"])
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_handler_that_raises_while_the_connection_is_lost(new_run: Callable[[int], Run], body: bytes) -> None:
    """Wherever a signal handler raises, a call that is said to be not sent is not complete on the server, and no call
    stays under way for ever."""
    whole = new_run(WHOLE)
    request(whole.session, body)
    size = len(whole.socket.taken)
    for limit in (0, size - 1, size):
        said: set[type] = set()

        def once(at: int, limit: int = limit, said: set[type] = said) -> bool:
            run = new_run(limit)
            call = PendingCall()
            call.call_add_watcher(repr)
            outcome = strike(lambda: wait_for_end(run, request(run.session, body, call)), at)
            run.session.close("closed by the test")
            said.add(type(call.call_loss))
            if type(call.call_loss) is CallNotSent:
                assert run.executed() == [], (limit, outcome)
            assert len(run.session.arrived) == run.session.outstanding <= 1, (limit, outcome)
            return outcome.struck > 0

        assert places(once) > 5
        assert (CallNotSent if limit < size else OutcomeUnknown) in said


@pytest.mark.parametrize("is_sent", [False, True])
def test_connection_that_ends_while_a_thread_sends(
    new_run: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch, is_sent: bool
) -> None:
    """The thread that notices the end says nothing of a call that another thread is sending: that one does, when it is
    clear whether all was sent."""
    run = new_run(WHOLE)
    call = PendingCall()
    told: list[type] = []
    call.call_add_watcher(lambda each: told.append(type(each.call_loss)))
    send = run.socket.send

    def send_meanwhile(data: Any, flags: int = 0) -> int:
        if is_sent:
            send(data)
        run.session._end.fail("it ended")
        assert (call.call_is_answered, told) == (False, [])
        if not is_sent:
            raise_in_the_kernel(BrokenPipeError(errno.EPIPE, "Broken pipe"))
        return len(data)

    monkeypatch.setattr(run.session.transport, "_send", send_meanwhile)
    request(run.session, SMALL, call)

    assert told == [type(call.call_loss)] == [OutcomeUnknown if is_sent else CallNotSent]
    assert run.session.arrived == [call]
    assert run.session.outstanding == 1


def test_message_ahead_of_the_call(new_run: Callable[[int], Run]) -> None:
    """A call was not sent, either, when the connection breaks under a message that goes ahead of it."""
    for limit in range(5):
        run = new_run(limit)
        run.session.send_before_first_call(m.MODULES, lambda: b"modules")
        with pytest.raises(CallNotSent) as caught:
            request(run.session, SMALL)
        assert caught.value.started is False
        assert run.executed() == []


def test_handler_that_raises_when_all_is_sent(
    new_run: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a handler raises an ordinary error when the kernel has the call, and the connection ends at the same time,
    the call may have been run."""
    run = new_run(WHOLE)
    send = run.session._channel.send

    def interrupted(message: Message) -> None:
        send(message)
        run.session._end.fail("it ended")
        raise TimeoutError("of a handler")

    monkeypatch.setattr(run.session._channel, "send", interrupted)
    call = request(run.session, SMALL)

    assert type(call.call_loss) is OutcomeUnknown
    assert len(run.executed()) == 1
