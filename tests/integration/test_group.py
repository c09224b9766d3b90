"""`ClientGroup`: answers of many clients, read together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from easycluster import ClientGroup, OutcomeUnknown, RemoteException, ThreadedClient
from helpers.remote_tasks import Tasks
from helpers.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("task_definitions")


def test_read_responses(connect: Any) -> None:
    """Answers of all clients are read until none is outstanding, also those of calls that were made meanwhile."""
    clients = [connect() for _ in range(3)]
    seen: list[Any] = []
    for number, client in enumerate(clients):
        for step in range(10):
            client.add(100 * number, step, oncomplete=seen.append)
        client.add(1, oncomplete=lambda value, client=client: client.same("more", oncomplete=seen.append))
        client.same("quiet", nonblocking=True)

    assert ClientGroup(clients).read_responses() == 39
    assert sorted(value for value in seen if value != "more") == [
        100 * number + step for number in range(3) for step in range(10)
    ]
    assert seen.count("more") == 3


def test_limited_reading(spawn: Any, tasks: Tasks) -> None:
    """`timeout` ends the reading without an error; 0 takes what is there."""
    client = spawn()
    group = ClientGroup([client, spawn()])
    seen: list[Any] = []
    tasks.start(client, "late", oncomplete=seen.append)
    early = [group.read_responses(timeout=0), group.read_responses(timeout=0.01)]
    tasks.finish("late")

    assert early == [0, 0]
    assert group.read_responses(timeout=30) == 1
    assert seen == ["late"]
    assert group.read_responses() == 0


def test_reading_of_so_many(spawn: Any) -> None:
    """`max` says how many completion functions are called at most; the rest waits for the next reading."""
    clients = [spawn(), spawn()]
    group = ClientGroup(clients)
    seen: list[Any] = []
    for number in range(20):
        clients[number % 2].add(number, oncomplete=seen.append)
    counts = []
    for most in (0, 1, 7, 100):
        group.read_responses(max=most)
        counts.append(len(seen))

    assert counts == [0, 1, 8, 20]
    assert sorted(seen) == list(range(1, 21))


def test_reading_in_a_completion_function(spawn: Any) -> None:
    """A completion function that reads the group itself has the others called inside."""
    client = spawn()
    group = ClientGroup([client])
    seen: list[Any] = []
    client.add(1, oncomplete=lambda value: seen.append(group.read_responses()))
    client.add(2, oncomplete=seen.append)
    group.read_responses()

    assert seen == [3, 1]


def test_members(spawn: Any) -> None:
    """Clients come and go; each counts once, and one that is not in the group is not read."""
    clients = [spawn(), spawn()]
    group = ClientGroup()
    seen: list[Any] = []
    for client in (*clients, clients[0]):
        group.add_client(client)
    for _ in range(2):
        group.remove_client(clients[1])
    for number, client in enumerate(clients):
        client.add(number, oncomplete=seen.append)

    assert group.read_responses() == 1
    assert seen == [1]


def test_member_that_is_lost(spawn: Any, tasks: Tasks) -> None:
    """The end of one connection is an error of its calls; the other clients go on."""
    clients = [spawn(), spawn()]
    group = ClientGroup(clients)
    seen: list[Any] = []
    tasks.start(clients[0], "never", onerror=seen.append)
    clients[0].os.kill(clients[0].os.getpid(threadid=1), 9, threadid=1, nonblocking=True)
    clients[1].add(1, oncomplete=seen.append)
    group.read_responses(timeout=30)
    clients[0].close()
    clients[1].add(2, oncomplete=seen.append)
    group.read_responses(timeout=30)

    lost = [error.orig for error in seen if isinstance(error, RemoteException)]
    assert [type(error) for error in lost] == [OutcomeUnknown]
    assert sorted(value for value in seen if isinstance(value, int)) == [2, 3]


def test_threaded_members(spawn: Any, tasks: Tasks) -> None:
    """A ThreadedClient deals with its answers itself: the reading ends when its completion functions have."""
    clients = [spawn(ThreadedClient), spawn()]
    seen: list[Any] = []
    let_go = threading.Event()

    def complete(value: int) -> None:
        assert let_go.wait(PATIENCE)
        seen.append(value)
        clients[0].same("more", oncomplete=seen.append)

    clients[0].add(2, oncomplete=complete)
    for client in clients:
        client.add(1, oncomplete=seen.append)
    tasks.start(clients[0], "quiet", threadid=1)
    group = ClientGroup(clients)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(group.read_responses)
        wait_until(
            lambda: (
                clients[0]._easycluster_calls.session.completing
                and clients[0]._easycluster_calls.session.turn.gates
            )
        )
        early = reading.done()
        let_go.set()
        tasks.finish("quiet")

        assert reading.result(PATIENCE) == 4
    assert not early
    assert sorted(map(str, seen)) == ["2", "2", "3", "more"]
    assert group.read_responses() == 0


@pytest.mark.parametrize("most", [1, 2])
def test_threaded_members_and_so_many(spawn: Any, tasks: Tasks, most: int) -> None:
    """`max` counts what a ThreadedClient has dealt with, too."""
    client = spawn(ThreadedClient)
    seen: list[Any] = []
    for number in range(3):
        tasks.start(client, str(number), threadid=number, oncomplete=seen.append)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(ClientGroup([client]).read_responses, None, most)
        wait_until(lambda: client._easycluster_calls.session.turn.gates)
        tasks.finish(*map(str, range(most)))

        assert reading.result(PATIENCE) == most
    assert sorted(seen) == list(map(str, range(most)))
    tasks.finish("2", "1")


@pytest.mark.parametrize(
    "use", [lambda it: ClientGroup([it]), ClientGroup().add_client, ClientGroup().remove_client]
)
def test_member_that_is_no_client(use: Any) -> None:
    """What is no client is refused, and named."""
    with pytest.raises(TypeError, match="a ClientGroup is made of clients, not of 'host1'"):
        use("host1")
