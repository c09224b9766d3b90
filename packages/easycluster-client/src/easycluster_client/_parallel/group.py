"""Groups of clients whose answers are read together."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from easycluster_client._api.client import Client
from easycluster_client._deadlines import deadline_after

from .reading import ConnectionReader, ReadSource


class ClientGroup:
    """Several clients, for scripts that leave everything to completion functions.

    Args:
        clients: the first of them.
    """

    def __init__(self, clients: Iterable[Client] = ()) -> None:
        self._clients: dict[int, Client] = {}
        for client in clients:
            self.add_client(client)

    def add_client(self, client: Client) -> None:
        """Add a client; one that is there already counts once.

        Raises:
            TypeError: it is no client.
        """
        self._clients[id(_check(client))] = client

    def remove_client(self, client: Client) -> None:
        """Take a client out; one that is not there counts as taken out.

        Raises:
            TypeError: it is no client.
        """
        self._clients.pop(id(_check(client)), None)

    def read_responses(self, timeout: float | None = None, max: int = -1) -> int:  # noqa: A002 -- published
        """Read answers of all clients, and call the completion functions of the calls they answer.

        It returns when no call is outstanding any more. The answers of clients that are closed or
        whose connections were lost are errors, which reach the completion functions; the others go on.

        Args:
            timeout: how long to read at most, in seconds; None: for ever. 0 takes what is there.
            max: how many completion functions to call at most, and after how many answers to return;
                -1: there is no limit.

        A `ThreadedClient` among them deals with its answers itself; that is waited for. Its calls count that
        were outstanding before.

        Returns:
            How many answers were dealt with.

        Raises:
            TypeError, ValueError: the limit is no number, or negative.
            CompletionError: a completion function of a ThreadedClient would wait for its own end.
        """
        deadline = deadline_after(timeout)
        sessions = [
            (each._easycluster_calls.session, each._easycluster_calls) for each in self._clients.values()
        ]
        connections = [ReadSource(session, calls) for session, calls in sessions if session is not None]
        reading = _GroupReading(connections, max)
        reading.read(connections, reading.is_over, deadline)
        return reading.count


class _GroupReading(ConnectionReader):
    """Reads until enough answers were dealt with, or no more are to be expected."""

    def __init__(self, connections: list[ReadSource], limit: int) -> None:
        super().__init__()
        self._count = 0
        #: Those that deal with their answers themselves → how many calls were outstanding there.
        self._others = {each: each.session.outstanding for each in connections if each.calls.reads_by_itself}
        self._connections = connections
        self._limit = limit

    @property
    def count(self) -> int:
        """How many answers were dealt with."""
        others = (max(0, before - each.session.outstanding) for each, before in self._others.items())
        return self._count + sum(others)

    def is_over(self) -> bool:
        """Whether to stop."""
        return self._is_enough() or not any(each.session.outstanding for each in self._connections)

    def _is_enough(self) -> bool:
        return 0 <= self._limit <= self.count

    def _look_at(self, connections: Collection[ReadSource]) -> None:
        for each in connections:
            if not self._is_enough():
                before = each.session.outstanding
                super()._look_at([each])
                if each not in self._others:
                    # Those that have completion functions count when these are called.
                    self._count += before - each.session.outstanding

    def _complete(self, connection: ReadSource) -> None:
        if connection not in self._others:
            limit = self._limit - self.count if self._limit >= 0 else -1
            self._count += connection.calls.run_completions(connection.session, limit, even_if_nested=True)


def _check(client: object) -> Client:
    if not isinstance(client, Client):
        raise TypeError(f"a ClientGroup is made of clients, not of {client!r}")
    return client
