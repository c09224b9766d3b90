"""Groups of clients: who belongs to one, which answers count, and when reading ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from easycluster_client._api.client import Client
from easycluster_client._calls.maker import CallMaker
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._parallel.group import ClientGroup
from easycluster_client._session.session import ClientSession
from easycluster_protocol.errors import CompletionError, RemoteException
from helpers.hand_made import HandMadeServer, note_receptions


class SelfReadingCalls(CallMaker):
    """The calls of a client whose completion functions another thread calls."""

    reads_by_itself = True

    def run_completions(self, session: ClientSession, limit: int = -1, even_if_nested: bool = False) -> int:
        """Leave them to the other thread."""
        raise AssertionError("the client does that by itself")


class SelfReadingClient(Client):
    """A client that reads by itself."""

    def _easycluster_new_call_maker(self, definitions: str) -> CallMaker:
        return SelfReadingCalls(self, definitions)


def connect(server: HandMadeServer, cls: type[Client] = Client) -> Client:
    """Return a client of a server that is played by hand."""
    client = cls()
    client._easycluster_calls.open(server.session)
    return client


def call(client: Client, **options: Any) -> NonblockingResponse:
    """Make a call."""
    response: NonblockingResponse = client.raw_call("f", (), **{"nonblocking": True, **options})
    return response


@pytest.fixture
def other() -> Iterator[HandMadeServer]:
    """A second server."""
    server = HandMadeServer()
    yield server
    server.close()


# The members.


def test_only_clients_belong_to_a_group() -> None:
    """Anything else is refused, at the beginning, when it is added, and when it is removed."""
    text = "^a ClientGroup is made of clients, not of 'text'$"
    group, found = ClientGroup(), cast("Any", "text")
    with pytest.raises(TypeError, match=text):
        ClientGroup([Client(), found])
    with pytest.raises(TypeError, match=text):
        group.add_client(found)
    with pytest.raises(TypeError, match=text):
        group.remove_client(found)


def test_client_that_is_added_twice(server: HandMadeServer) -> None:
    """It counts once, and is removed at once; removing it again does nothing."""
    client = connect(server)
    group = ClientGroup([client, client])
    group.add_client(client)
    server.answer(call(client))
    first = group.read_responses()
    for _ in range(2):
        group.remove_client(client)
    server.answer(call(client))

    assert (first, group.read_responses()) == (1, 0)


def test_group_without_calls(server: HandMadeServer) -> None:
    """Nothing is waited for when there is no client, none that is connected, or no call."""
    assert ClientGroup().read_responses() == 0
    assert ClientGroup([Client(), connect(server)]).read_responses() == 0


@pytest.mark.parametrize(("timeout", "error"), [("1", TypeError), (float("nan"), ValueError)])
def test_limit_that_is_none(timeout: Any, error: type[Exception]) -> None:
    """The limit is checked even if there is nothing to read."""
    with pytest.raises(error, match="timeout must be a number of seconds"):
        ClientGroup().read_responses(timeout)


# Reading.


def test_answers_of_all_clients(server: HandMadeServer, other: HandMadeServer) -> None:
    """It reads until no call of any client is outstanding, and counts the answers, with completion functions or not."""
    clients, told = [connect(server), connect(other)], list[Any]()
    responses = [call(clients[0]), call(clients[0], oncomplete=told.append), call(clients[1])]
    server.answer(*responses[:2])
    responses[1].call_add_watcher(lambda _: other.answer(responses[2]))

    assert ClientGroup(clients).read_responses() == 3
    assert all(response.have_response for response in responses)
    assert told == ["value"]


def test_only_what_has_come(server: HandMadeServer, other: HandMadeServer) -> None:
    """Without time the answers that have come are dealt with."""
    clients = [connect(server), connect(other)]
    responses = [call(clients[0]), call(clients[0]), call(clients[1])]
    other.answer(responses[2])

    assert ClientGroup(clients).read_responses(0) == 1
    assert [response.have_response for response in responses] == [False, False, True]


def test_calls_of_a_lost_connection(server: HandMadeServer, other: HandMadeServer) -> None:
    """The calls of a connection that is lost count as dealt with when their completion functions have got the error."""
    clients, told = [connect(server), connect(other)], list[Any]()
    call(clients[0], oncomplete=told.append)
    other.answer(call(clients[1]))
    server.session.close("over")

    assert ClientGroup(clients).read_responses() == 2
    assert [type(each) for each in told] == [RemoteException]


def test_completion_function_that_makes_a_call(server: HandMadeServer) -> None:
    """Calls that completion functions make are waited for, too."""
    client, told = connect(server), list[Any]()

    def call_once_more(value: Any) -> None:
        told.append(value)
        server.answer(call(client, oncomplete=told.append), value="second")

    server.answer(call(client, oncomplete=call_once_more), value="first")

    assert ClientGroup([client]).read_responses() == 2
    assert told == ["first", "second"]


def test_greatest_number_of_completion_functions(server: HandMadeServer, other: HandMadeServer) -> None:
    """No more completion functions are called than are allowed, although more answers have come."""
    clients, told = [connect(server), connect(other)], list[Any]()
    for client, each in zip(clients, (server, other), strict=True):
        each.answer(*(call(client, oncomplete=told.append) for _ in range(2)))
    group = ClientGroup(clients)

    assert (group.read_responses(max=3), len(told)) == (3, 3)
    assert (group.read_responses(max=3), len(told)) == (1, 4)


def test_answers_that_are_enough(
    server: HandMadeServer, other: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When enough answers were read the other connections are left for later."""
    clients = [connect(server), connect(other)]
    server.answer(call(clients[0]))
    other.answer(call(clients[1]))
    receptions = note_receptions(other, monkeypatch)
    group = ClientGroup(clients)
    first = group.read_responses(max=1)

    assert (first, receptions) == (1, [])
    assert (group.read_responses(max=1), receptions) == (1, [False])


def test_no_answer_is_allowed(server: HandMadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a greatest number of 0 nothing is read and no completion function is called."""
    client, told = connect(server), list[Any]()
    server.answer(call(client, oncomplete=told.append))
    receptions = note_receptions(server, monkeypatch)

    assert ClientGroup([client]).read_responses(max=0) == 0
    assert (told, receptions) == ([], [])


def test_inside_a_completion_function(server: HandMadeServer) -> None:
    """A completion function that reads for a group gets those of other answers called, and counts them."""
    client, told = connect(server), list[Any]()
    group = ClientGroup([client])

    def read_more(value: Any) -> None:
        told.extend(("begin", group.read_responses(), "end"))

    server.answer(call(client, oncomplete=read_more), call(client, oncomplete=told.append))

    assert group.read_responses() == 1
    assert told == ["value", "begin", 1, "end"]


# Clients that read by themselves.


def test_client_that_reads_by_itself(server: HandMadeServer) -> None:
    """Its answers count, also those that the group has read; its completion functions are left to it."""
    client, told = connect(server, SelfReadingClient), list[Any]()
    server.answer(call(client), call(client, oncomplete=told.append))
    group = ClientGroup([client])

    assert (group.read_responses(max=1), group.read_responses(0), told) == (1, 0, [])


def test_completion_functions_of_a_client_that_reads_by_itself(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group waits until the thread of the client has called them, and then they count."""
    client, told = connect(server, SelfReadingClient), list[Any]()
    server.answer(call(client, oncomplete=told.append))
    monkeypatch.setattr(
        server.session, "check_may_wait", lambda: server.session.arrived.pop().call_complete()
    )

    assert ClientGroup([client]).read_responses() == 1
    assert told == ["value"]


def test_new_calls_of_a_client_that_reads_by_itself(
    server: HandMadeServer, other: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that are made meanwhile take nothing away from the number of answers."""
    by_itself, client = connect(server, SelfReadingClient), connect(other)
    response, waits = call(client), list[str]()

    def before_each_wait() -> None:
        waits.append("wait")
        assert len(waits) == 1
        call(by_itself)
        other.answer(response)

    monkeypatch.setattr(other.session, "check_may_wait", before_each_wait)

    assert ClientGroup([by_itself, client]).read_responses(max=1) == 1


def test_group_in_a_completion_function_of_such_a_client(
    server: HandMadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that must not wait for the client gets an error, and what has come has been read."""
    client = connect(server, SelfReadingClient)
    answered, _ = call(client), call(client)
    server.answer(answered)

    def refuse() -> None:
        raise CompletionError("its own end")

    monkeypatch.setattr(server.session, "check_may_wait", refuse)
    with pytest.raises(CompletionError, match="its own end"):
        ClientGroup([client]).read_responses()

    assert answered.have_response
