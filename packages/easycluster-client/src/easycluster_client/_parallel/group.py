"""Groups of clients whose answers are read together."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from easycluster_client._api.client import Client
from easycluster_client._deadlines import deadline_after

from .reading import ConnectionReader, ReadSource


class ClientGroup:
    """Several clients, for scripts that do all their work in completion functions.

    Args:
        clients: the first clients of the group.
    """

    def __init__(self, clients: Iterable[Client] = ()) -> None:
        self._clients: dict[int, Client] = {}
        for client in clients:
            self.add_client(client)

    def add_client(self, client: Client) -> None:
        """Add a client; one that is in the group already counts once.

        Raises:
            TypeError: ``client`` is not a client.
        """
        self._clients[id(_check_client(client))] = client

    def remove_client(self, client: Client) -> None:
        """Remove a client; one that is not in the group counts as removed.

        Raises:
            TypeError: ``client`` is not a client.
        """
        self._clients.pop(id(_check_client(client)), None)

    def read_responses(self, timeout: float | None = None, max: int = -1) -> int:  # noqa: A002 -- published
        """Read answers of all clients, and call the completion functions of the calls that they answer.

        It returns when no call is outstanding any more. The calls of clients that were closed or whose
        connections were lost end with errors, which reach the completion functions; the other calls go on.

        Args:
            timeout: how long to read at most, in seconds; None: for ever. With 0 only answers that have
                come are read.
            max: the greatest number of completion functions to call, and the number of answers after which
                to return; -1: there is no limit.

        A `ThreadedClient` in the group reads its answers itself, and this waits until it has. Only calls that
        were outstanding at the beginning count.

        Returns:
            The number of answers that were dealt with.

        Raises:
            TypeError, ValueError: ``timeout`` is not a number, or is NaN.
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
    """Reads until enough answers were dealt with, or no call is outstanding."""

    def __init__(self, connections: list[ReadSource], limit: int) -> None:
        super().__init__()
        self._count = 0
        #: The connections of clients that read by themselves, and how many calls were outstanding there.
        self._self_reading = {
            each: each.session.outstanding for each in connections if each.calls.reads_by_itself
        }
        self._connections = connections
        self._limit = limit

    @property
    def count(self) -> int:
        """The number of answers that were dealt with."""
        read_by_clients = (
            max(0, before - each.session.outstanding) for each, before in self._self_reading.items()
        )
        return self._count + sum(read_by_clients)

    def is_over(self) -> bool:
        """Return whether to stop reading."""
        return self._is_enough() or not any(each.session.outstanding for each in self._connections)

    def _is_enough(self) -> bool:
        return 0 <= self._limit <= self.count

    def _receive_from(self, connections: Collection[ReadSource]) -> None:
        for each in connections:
            if not self._is_enough():
                before = each.session.outstanding
                super()._receive_from([each])
                if each not in self._self_reading:
                    # Calls with completion functions count when these are called.
                    self._count += before - each.session.outstanding

    def _run_completions(self, connection: ReadSource) -> None:
        if connection not in self._self_reading:
            limit = self._limit - self.count if self._limit >= 0 else -1
            self._count += connection.calls.run_completions(connection.session, limit, even_if_nested=True)


def _check_client(client: object) -> Client:
    if not isinstance(client, Client):
        raise TypeError(f"a ClientGroup is made of clients, not of {client!r}")
    return client
