from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._serving.idle_session import IdleSession
from easycluster_server._system.control import CLOSED, LOST
from helpers.peers import Peer


@pytest.fixture(autouse=True)
def handler() -> Any:
    """The handler of SIGINT is the same after each test."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def _ignore(data: Any) -> None:
    pass


def make(
    peer: Peer, ends: list[str] | None = None, add_modules: Callable[[Any], None] = _ignore
) -> IdleSession:
    """Return the session at the other end of a peer."""
    return IdleSession(peer.link, peer.transport, (ends if ends is not None else []).append, add_modules)


def test_first_call_and_later_messages_are_returned() -> None:
    """A session that has had no call reads until one comes, and returns it with the messages that came after it."""
    with Peer() as peer:
        peer.send(Message(m.STOP_THREAD, 0, b"", 3), peer.call(1, "len", []), Message(m.CLOSE))
        arrived = make(peer).wait_for_call()
        assert [each.kind for each in arrived] == [m.CALL, m.CLOSE]


def test_messages_before_the_first_call() -> None:
    """Ahead of the first call keep-alives and questions are answered, modules are added, and an interrupt does
    nothing."""
    modules: list[bytes] = []
    with Peer() as peer:

        def add(data: Any) -> None:
            modules.append(bytes(data))
            os.kill(os.getpid(), signal.SIGINT)

        peer.send(
            Message(m.PING, 7),
            Message(m.STATUS_QUERY, 8),
            Message(m.MODULES, 0, b"code"),
            peer.call(1, "len", []),
        )
        assert make(peer, add_modules=add).wait_for_call()
        peer.transport.close()
        peer.receive_all()
        assert [(each.kind, each.request, each.body) for each in peer.received] == [
            (m.PONG, 7, b""),
            (m.STATUS, 8, b""),
        ]
        assert modules == [b"code"]


def test_modules_that_cannot_be_added(capfd: pytest.CaptureFixture[str]) -> None:
    """Modules that cannot be read are reported, and the session goes on."""

    def add(data: Any) -> None:
        raise ValueError("no modules")

    with Peer() as peer:
        peer.send(Message(m.MODULES, 0, b"code"), peer.call(1, "len", []))
        assert make(peer, add_modules=add).wait_for_call()
    assert "no modules" in capfd.readouterr().err


@pytest.mark.parametrize("is_closed", [True, False])
def test_end_before_the_first_call(is_closed: bool) -> None:
    """A connection that ends before its first call was closed or lost, and the session says which."""
    ends: list[str] = []
    with Peer() as peer:
        if is_closed:
            peer.send(Message(m.CLOSE))
        else:
            peer.socket.close()
        assert make(peer, ends).wait_for_call() == []
    assert ends == [CLOSED if is_closed else LOST]


def test_link_that_breaks_behind_the_first_call(capfd: pytest.CaptureFixture[str]) -> None:
    """A call with which bytes have come that are no message is not begun: its connection has ended."""
    ends: list[str] = []
    with Peer() as peer:
        peer.send_with(b"x" * 64, peer.call(1, "len", []))
        assert make(peer, ends).wait_for_call() == []
    assert ends == [LOST]
    assert "easycluster:" in capfd.readouterr().err
