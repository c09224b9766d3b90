"""Definitions on their way to a server: when they are sent, how often, and what becomes of their errors."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

import easycluster
from easycluster_client._calls.response import NonblockingResponse
from easycluster_protocol.errors import RemoteException
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient
from helpers.other_thread import OtherThread
from helpers.waiting import PATIENCE


@pytest.fixture
def client(server: HandMadeServer) -> HandMadeClient:
    """A client whose server the test plays."""
    return HandMadeClient(server)


def test_no_definitions(client: HandMadeClient) -> None:
    """Where nothing new is defined nothing is sent; a response is answered all the same."""
    assert client.calls.update_definitions() is None
    assert client.server.session.outstanding == 0
    response = client.calls.update_definitions({"nonblocking": True})

    assert isinstance(response, NonblockingResponse)
    assert client.sent(1) == [(0, (0, "define", ([],), {}))]


def test_new_definitions(client: HandMadeClient) -> None:
    """Definitions are sent once, each with its module, number and source, and are waited for."""
    easycluster.define_common("x = 1")
    easycluster.define_common("y = 2", "other", local=False)
    client.answer(1, None)
    first = client.calls.update_definitions()
    easycluster.define_common("z = 3")
    client.answer(2, None)
    client.calls.update_definitions()
    client.calls.update_definitions()
    blocks = [values[2][0] for _, values in client.sent(2)]

    assert first is None
    assert [[source for _, _, source in each] for each in blocks] == [["x = 1", "y = 2"], ["z = 3"]]
    assert [[number for _, number, _ in each] for each in blocks] == [[0, 0], [1]]
    assert [module.rpartition(".")[2] for module, _, _ in blocks[0]] == ["remote_code", "other"]
    assert client.server.session.outstanding == 0


@pytest.mark.parametrize("option", ["nonblocking", "oncomplete", "onerror"])
def test_definitions_that_are_not_waited_for(client: HandMadeClient, option: str) -> None:
    """With one of these options the response of the definitions is returned, and they count as sent."""
    easycluster.define_common("x = 1")
    called: list[Any] = []
    response = client.calls.update_definitions(
        {option: True if option == "nonblocking" else called.append, "threadid": 3}
    )

    assert isinstance(response, NonblockingResponse)
    assert client.sent(1)[0][0] == 3
    assert client.calls.update_definitions() is None


def test_definitions_that_fail(client: HandMadeClient) -> None:
    """The error of a definition is raised and not printed, and the definitions are not sent again."""
    easycluster.define_common("x = 1")
    client.fail(1, ValueError("in a definition"))
    with pytest.raises(ValueError, match="in a definition"):
        client.calls.update_definitions()

    assert client.reported == []
    assert client.calls.update_definitions() is None


def test_definitions_with_an_option(client: HandMadeClient) -> None:
    """The options of an update hold for its errors."""
    easycluster.define_common("x = 1")
    client.fail(1, ValueError("in a definition"))
    with pytest.raises(RemoteException):
        client.calls.update_definitions({"origexc": False})


def test_definitions_that_could_not_be_sent(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions whose sending failed are sent the next time."""

    def fail(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    easycluster.define_common("x = 1")
    monkeypatch.setattr(client.server.session, "request", fail)
    with pytest.raises(KeyboardInterrupt):
        client.calls.update_definitions()
    monkeypatch.undo()
    client.answer(1, None)
    client.calls.update_definitions()

    assert len(client.sent(1)[0][1][2][0]) == 1


def test_thread_that_may_not_wait_for_definitions(
    client: HandMadeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the thread must not wait, that is said before anything is sent; without waiting it may send them."""

    def refuse() -> None:
        raise RuntimeError("must not wait")

    easycluster.define_common("x = 1")
    monkeypatch.setattr(client.server.session, "check_may_wait", refuse)
    with pytest.raises(RuntimeError, match="must not wait"):
        client.calls.update_definitions()
    before = client.server.session.outstanding
    client.calls.update_definitions({"nonblocking": True})

    assert (before, client.server.session.outstanding) == (0, 1)


def test_definitions_of_another_thread(
    client: HandMadeClient, other_thread: OtherThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that sends the same definitions at the same time does not return before they are there."""
    easycluster.define_common("x = 1")
    session = client.server.session
    wait, futures = session.wait, list[Future[Any]]()

    def answer_then_wait(*arguments: Any) -> None:
        futures.append(other_thread.start(client.calls.update_definitions))
        assert not futures[0].done()
        client.answer(1, None)
        wait(*arguments)

    monkeypatch.setattr(session, "wait", answer_then_wait)
    client.calls.update_definitions()

    assert futures[0].result(PATIENCE) is None
    assert len(client.server.receive(1)) == 1


def test_new_locks_after_a_fork(client: HandMadeClient, other_thread: OtherThread) -> None:
    """In a forked process the lock of a thread that is not there any more is replaced."""
    lock = client.calls._definitions_lock
    other_thread.run(lock.acquire)
    client.calls.renew_locks()
    found = client.calls.update_definitions()
    other_thread.run(lock.release)

    assert found is None


def test_new_connection_is_prepared(client: HandMadeClient) -> None:
    """A new connection gets the definitions that there are; where names resolve as usual nothing more is sent."""
    easycluster.define_common("x = 1")
    client.answer(1, None)
    client.calls.prepare()

    assert [values[1] for _, values in client.sent(1)] == ["define"]
    assert client.server.session.outstanding == 0


def test_new_connection_with_definitions_of_its_own(server: HandMadeServer) -> None:
    """A client with another definitions module tells its server so."""
    client = HandMadeClient(server, definitions="other")
    client.answer(1, None)
    client.calls.prepare()

    assert client.sent(1) == [(0, (0, "use_definitions", ("other",), {}))]


def test_definitions_on_the_next_connection(client: HandMadeClient) -> None:
    """When a client gets another connection all definitions are sent there, also the ones that were sent before."""
    easycluster.define_common("x = 1")
    client.calls.update_definitions({"nonblocking": True})
    following = HandMadeClient(HandMadeServer())
    client.calls.open(following.server.session)
    client.calls.update_definitions({"nonblocking": True})
    ((_, values),) = following.sent(1)
    following.server.close()

    assert [source for _, _, source in values[2][0]] == ["x = 1"]
