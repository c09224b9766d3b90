from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._serving import session as session_module
from easycluster_server._serving.calls import CallRunner, make_runner
from easycluster_server._serving.fork_guard import ForkGuard
from easycluster_server._serving.sent_modules import sent_modules
from easycluster_server._serving.session import Session
from easycluster_server._system.control import CLOSED, LOST
from helpers.checkpoints import places, strike
from helpers.executors import end_threads
from helpers.pair import MODES
from helpers.peers import SINGLE, Peer
from helpers.states import prepare_for_calls
from helpers.threads import in_background
from helpers.waiting import PATIENCE

NAME = "easycluster_test_probe"


class Probe(ModuleType):
    """A module whose functions are called as remote ones."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.started: list[int] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def mark(self, number: int) -> int:
        """Note that the call was made, and return its argument."""
        self.started.append(number)
        return number

    def big(self, number: int, size: int) -> bytes:
        """The same, with a large result."""
        self.started.append(number)
        return bytes(size)

    def wait(self) -> None:
        """Wait until the test lets go."""
        self.entered.set()
        assert self.gate.wait(PATIENCE)

    def where(self) -> str:
        """The name of the thread that runs this."""
        return threading.current_thread().name

    def loop(self) -> None:
        """Go on until somebody interrupts."""
        self.entered.set()
        while True:
            self.gate.wait(0.01)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    """The module; tests call ``NAME + ".mark"``."""
    module = Probe()
    monkeypatch.setitem(sys.modules, NAME, module)
    return module


@pytest.fixture
def make_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Session]]:
    """Makes sessions that leave this process's forks alone."""
    monkeypatch.setattr(ForkGuard, "install", lambda self: None)
    handler = signal.getsignal(signal.SIGINT)
    made: list[Session] = []

    def make(
        peer: Peer,
        ends: list[str] | None = None,
        runner: Callable[[], CallRunner] = lambda: make_runner(5),
        add_modules: Callable[[Any], None] = sent_modules.add,
    ) -> Session:
        on_end = (ends if ends is not None else []).append
        session = Session(peer.link, peer.transport, on_end, runner, add_modules)
        made.append(session)
        return session

    yield make
    signal.signal(signal.SIGINT, handler)
    for session in made:
        session._follower.stop()
        end_threads(session._executor)


def closing(peer: Peer, *numbers: int) -> Callable[[], None]:
    """What a client does that waits for answers and closes then."""

    def act() -> None:
        peer.receive_until(*numbers)
        peer.send(Message(m.CLOSE))

    return act


def test_calls_are_answered(make_session: Callable[..., Session], probe: Probe) -> None:
    """Calls of the main thread, of a thread with an id and of one for a single call are answered, and then the end is
    reported."""
    ends: list[str] = []
    with Peer() as peer:
        session = make_session(peer, ends)
        peer.send(
            peer.call(1, f"{NAME}.where"),
            peer.call(2, f"{NAME}.where", thread=7),
            peer.call(3, f"{NAME}.where", thread=SINGLE),
            peer.call(4, f"{NAME}.mark"),
        )
        thread = in_background(closing(peer, 1, 2, 3, 4))
        how = session.serve()
        thread.join()

        assert (how, ends) == (CLOSED, [CLOSED])
        assert [peer.value(number) for number in (1, 2, 3)] == [
            "MainThread",
            "easycluster-7",
            "easycluster-single",
        ]
        assert peer.failure(4)["type"] == "TypeError"


@pytest.mark.parametrize("half", [False, True])
def test_lost_connection(make_session: Callable[..., Session], probe: Probe, half: bool) -> None:
    """A connection that ends without a word, between two messages or within one, was lost."""
    ends: list[str] = []
    with Peer() as peer:
        session = make_session(peer, ends)
        peer.send(peer.call(1, f"{NAME}.mark", 1))
        if half:
            peer.socket.sendall(b"\2")
        peer.socket.shutdown(2)
        how = session.serve()

    assert (how, ends) == (LOST, [LOST])
    assert probe.started == [1]


def test_broken_protocol_ends_the_session(
    make_session: Callable[..., Session], capfd: pytest.CaptureFixture[str]
) -> None:
    """A peer that sends something that is not a frame loses the connection, and one line says why."""
    with Peer() as peer:
        session = make_session(peer)
        peer.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")

        assert session.serve() == LOST
    assert capfd.readouterr().err.startswith(
        "easycluster: the peer sent something that is not a frame: b'GET / "
    )


def test_ping_is_answered_during_a_call(make_session: Callable[..., Session], probe: Probe) -> None:
    """While the main thread is in a call, a ping and calls of other threads are answered."""
    with Peer() as peer:
        session = make_session(peer)

        def act() -> None:
            peer.send(peer.call(1, f"{NAME}.wait"))
            assert probe.entered.wait(PATIENCE)
            peer.send(Message(m.PING, 99))
            peer.receive_until(99, kinds=(m.PONG,))
            peer.send(peer.call(2, f"{NAME}.mark", 2, thread=1), peer.call(3, f"{NAME}.mark", 3))
            peer.receive_until(2)
            assert probe.started == [2]
            probe.gate.set()
            closing(peer, 1, 3)()

        thread = in_background(act)
        session.serve()
        thread.join()

        assert peer.value(3) == 3


def test_state_of_a_call(make_session: Callable[..., Session], probe: Probe) -> None:
    """While a call runs it is told at once which calls have begun."""
    with Peer() as peer:
        session = make_session(peer)

        def act() -> None:
            peer.send(peer.call(1, f"{NAME}.wait"), peer.call(2, f"{NAME}.mark", 2))
            assert probe.entered.wait(PATIENCE)
            peer.send(*(Message(m.STATUS_QUERY, number) for number in (1, 2, 99)))
            peer.receive_until(1, 2, 99, kinds=(m.STATUS,))
            probe.gate.set()
            closing(peer, 1, 2)()

        thread = in_background(act)
        session.serve()
        thread.join()
    told = {each.request: each.body for each in peer.received if each.kind == m.STATUS}

    assert told == {1: m.STARTED, 2: b"", 99: b""}


def test_reads_on_while_an_answer_cannot_be_sent(make_session: Callable[..., Session], probe: Probe) -> None:
    """A client that reads nothing may send as much as it likes: the main thread is stuck in sending, another reads."""
    with Peer() as peer:
        session = make_session(peer)

        def act() -> None:
            peer.send(peer.call(1, f"{NAME}.big", 1, 10_000_000))
            for number in range(2, 6):
                peer.send(peer.call(number, "len", bytes(1_000_000)))
            closing(peer, *range(1, 6))()

        thread = in_background(act)
        session.serve()
        thread.join()

        assert peer.value(5) == 1_000_000


def test_close_interrupts_a_call(make_session: Callable[..., Session], probe: Probe) -> None:
    """When the client closes the connection during a call, the call is interrupted as by Ctrl-C."""
    with Peer() as peer:
        session = make_session(peer)

        def act() -> None:
            peer.send(peer.call(1, f"{NAME}.loop"))
            assert probe.entered.wait(PATIENCE)
            peer.send(Message(m.CLOSE))
            peer.receive_until(1)

        thread = in_background(act)
        how = session.serve()
        thread.join()

        assert how == CLOSED
        assert peer.failure(1)["type"] == "KeyboardInterrupt"


def test_thread_is_stopped(make_session: Callable[..., Session], probe: Probe) -> None:
    """STOP_THREAD ends a thread when its calls are done; a later call of its id starts another one."""
    with Peer() as peer:
        session = make_session(peer)

        def act() -> None:
            peer.send(peer.call(1, "threading.get_native_id", thread=5), Message(m.STOP_THREAD, 0, b"", 5))
            peer.receive_until(1)
            peer.send(Message(m.STOP_THREAD, 0, b"", 6), peer.call(2, f"{NAME}.mark", 2, thread=5))
            closing(peer, 2)()

        thread = in_background(act)
        session.serve()
        thread.join()

        assert peer.value(2) == 2


@pytest.mark.parametrize("thread", [5, SINGLE])
def test_call_that_gets_no_thread(
    make_session: Callable[..., Session], probe: Probe, monkeypatch: pytest.MonkeyPatch, thread: int
) -> None:
    """When the system has no more threads, the call fails that wants one, and no other."""

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Peer() as peer:
        session = make_session(peer)
        session._follower.start()
        peer.send(peer.call(1, f"{NAME}.mark", 1, thread=thread), peer.call(2, f"{NAME}.mark", 2))
        client = in_background(closing(peer, 1, 2))
        monkeypatch.setattr(threading.Thread, "start", fail)
        session._serve(0)
        monkeypatch.undo()
        client.join()

        assert peer.failure(1)["type"] == "RuntimeError"
        assert peer.value(2) == 2


def test_answer_that_cannot_be_sent(
    make_session: Callable[..., Session],
    probe: Probe,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A result that no message can carry fails its own call, in the main thread and in others."""
    monkeypatch.setattr("easycluster_protocol._wire.messages.MAX_TABLE_ENTRIES", 1)
    buffers = [pickle.PickleBuffer(bytearray(100_000)) for _ in range(2)]
    monkeypatch.setattr(probe, "many", lambda: buffers, raising=False)
    with Peer() as peer:
        session = make_session(peer)
        peer.send(
            peer.call(1, f"{NAME}.many"),
            peer.call(2, f"{NAME}.many", thread=5),
            peer.call(3, f"{NAME}.mark", 3),
            peer.call(4, f"{NAME}.mark", 4, thread=5),
        )
        client = in_background(closing(peer, 1, 2, 3, 4))
        session.serve()
        client.join()

        assert peer.failure(1)["type"] == peer.failure(2)["type"] == "LocalProtocolError"
        assert [peer.value(3), peer.value(4)] == [3, 4]


# What is sent later.


def test_what_calls_need_is_made_once(make_session: Callable[..., Session], probe: Probe) -> None:
    """Nothing that only calls need is asked for before the first, and then once."""
    made: list[bool] = []

    def caller() -> CallRunner:
        made.append(True)
        return make_runner(5)

    with Peer() as peer:
        peer.send(Message(m.PING, 7), Message(m.CLOSE))
        make_session(peer, None, caller).serve()
        assert made == []
    with Peer() as peer:
        session = make_session(peer, None, caller)
        peer.send(*(peer.call(number, f"{NAME}.mark", number, thread=number % 3) for number in range(1, 9)))
        client = in_background(closing(peer, *range(1, 9)))
        session.serve()
        client.join()

    assert made == [True]
    assert sorted(probe.started) == list(range(1, 9))


def test_what_calls_need_cannot_be_had(
    make_session: Callable[..., Session], probe: Probe, capfd: pytest.CaptureFixture[str]
) -> None:
    """When what calls need cannot be imported, the reason is printed and the connection ends: nobody waits."""

    def caller() -> CallRunner:
        raise ImportError("no such part")

    ends: list[str] = []
    with Peer() as peer:
        session = make_session(peer, ends, caller)
        peer.send(peer.call(1, f"{NAME}.mark", 1))

        assert session.serve() == LOST
    assert ends == [LOST]
    assert capfd.readouterr().err.endswith("ImportError: no such part\n")
    assert probe.started == []


def test_modules_that_cannot_be_read(
    make_session: Callable[..., Session], probe: Probe, capfd: pytest.CaptureFixture[str]
) -> None:
    """Modules that are damaged, or taken by nobody, cost one line; calls go on."""
    taken: list[Any] = []

    def add_modules(packed: Any) -> None:
        taken.append(bytes(packed))
        raise ValueError("they are cut off")

    with Peer() as peer:
        session = make_session(peer, None, lambda: make_runner(5), add_modules)
        peer.send(Message(m.MODULES, 0, b"sources"), peer.call(1, f"{NAME}.mark", 1))
        client = in_background(closing(peer, 1))
        session.serve()
        client.join()

        assert peer.value(1) == 1
    assert taken == [b"sources"]
    assert capfd.readouterr().err == "easycluster: they are cut off\n"


# Signal handlers that raise.


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("mode", ["private", "keyed"])
def test_interrupts_between_calls(
    make_session: Callable[..., Session], probe: Probe, monkeypatch: pytest.MonkeyPatch, mode: str, times: int
) -> None:
    """Wherever signal handlers raise, each call is started at most once and answered, and the end is reported."""
    monkeypatch.setattr(session_module, "report_briefly", lambda error: None)

    def once(at: int) -> bool:
        del probe.started[:]
        ends: list[str] = []
        with Peer(MODES[mode]) as peer:
            session = make_session(peer, ends)
            # No handler of the user's can be there before a first call, nor in the very beginning.
            prepare_for_calls(session)
            peer.send(
                peer.call(1, f"{NAME}.mark", 1),
                peer.call(2, f"{NAME}.mark", 2, thread=5),
                peer.call(3, f"{NAME}.mark", 3, thread=SINGLE),
                peer.call(4, f"{NAME}.big", 4, 100_000),
            )
            client = in_background(closing(peer, 1, 2, 3, 4))
            outcome = strike(
                lambda: session._serve(session_module._MAX_NESTED_HANDLERS),
                at + 2 * session_module._MAX_NESTED_HANDLERS,
                times,
            )
            client.join()
            session._follower.stop()
            session._executor.stop_thread(5)
            assert set(ends) == {CLOSED}, outcome
            assert sorted(probe.started) == sorted(set(probe.started)), outcome
            for number in (1, 2, 3, 4):
                kinds = {answer.kind for answer in peer.answers(number)}
                assert len(kinds) == 1, outcome
                assert number in probe.started or kinds == {m.FAILURE}, outcome
        return outcome.struck > 0

    assert places(once) > 100


def test_no_more_threads(
    make_session: Callable[..., Session], probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the follower ended and the system has no thread for another one, calls run without it."""

    def refuse(*arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    with Peer() as peer:
        session = make_session(peer)

        def act() -> None:
            peer.send(peer.call(1, f"{NAME}.mark", 1))
            peer.receive_until(1)
            session._follower.stop()
            monkeypatch.setattr("_thread.start_new_thread", refuse)
            peer.send(peer.call(2, f"{NAME}.mark", 2))
            peer.receive_until(2)
            monkeypatch.undo()
            peer.send(Message(m.CLOSE))

        monkeypatch.setitem(sys.modules, NAME, probe)
        thread = in_background(act)
        session.serve()
        thread.join()

        assert probe.started == [1, 2]


def test_import_lock_that_a_call_leaves(make_session: Callable[..., Session], probe: Probe) -> None:
    """When an interrupted import of the user's has left Python's import lock taken, it is given back after the call."""
    with Peer() as peer:
        session = make_session(peer)
        peer.send(peer.call(1, "_imp.acquire_lock"), peer.call(2, "_imp.lock_held"))
        thread = in_background(closing(peer, 1, 2))
        session.serve()
        thread.join()

        assert peer.value(2) is False


def test_timeout_error_of_a_signal_handler_is_no_lost_connection(
    make_session: Callable[..., Session], probe: Probe, capfd: pytest.CaptureFixture[str]
) -> None:
    """A handler that raises TimeoutError, which is an OSError, while the worker is idle, is reported and forgotten."""

    def on_signal(number: int, frame: Any) -> None:
        raise TimeoutError("too late")

    with Peer() as peer:
        session = make_session(peer)
        before = signal.signal(signal.SIGUSR1, on_signal)

        def act() -> None:
            peer.send(peer.call(1, f"{NAME}.mark", 1))
            peer.receive_until(1)
            os.kill(os.getpid(), signal.SIGUSR1)
            peer.send(peer.call(2, f"{NAME}.mark", 2))
            closing(peer, 2)()

        try:
            thread = in_background(act)
            how = session.serve()
            thread.join()
        finally:
            signal.signal(signal.SIGUSR1, before)

        assert (how, peer.value(2)) == (CLOSED, 2)
    assert capfd.readouterr().err.startswith(
        "easycluster: raised between two calls: TimeoutError: too late ("
    )
