"""Closing many connections at once: each takes a moment in which this process only waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import cast

from easycluster_client._api.client import Client

#: The most connections that are closed at the same time.
_WIDTH = 64


def close_all(clients: Iterable[Client] | Mapping[str, Client], message: str = "Connection closed") -> None:
    """Close many clients, all at once.

    Args:
        clients: the clients, or a mapping whose values are clients, as `connect_all` returns. Clients that
            are not connected count as closed.
        message: the text of the error that outstanding calls raise, see `Client.close`.

    Raises:
        Exception: the first error of closing, after all clients have been closed.
    """
    if isinstance(clients, Mapping):
        clients = cast("Mapping[str, Client]", clients).values()
    closing = _Closing(clients, message)
    threads = [threading.Thread(target=closing.run, daemon=True) for _ in range(closing.count_helpers())]
    started: list[threading.Thread] = []
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:  # too many threads, or the interpreter ends: the others do it, or this thread
            break
        started.append(thread)
    closing.run()
    for thread in started:
        thread.join()
    if closing.errors:
        raise closing.errors[0]


class _Closing:
    """The clients that are still to be closed, for several threads."""

    def __init__(self, clients: Iterable[Client], message: str) -> None:
        self._left = deque(clients)
        self._message = message
        self.errors: list[Exception] = []

    def count_helpers(self) -> int:
        """Return how many threads are of use beside the calling one."""
        return max(0, min(len(self._left), _WIDTH) - 1)

    def run(self) -> None:
        """Close clients until none is left."""
        while True:
            try:
                client = self._left.popleft()
            except IndexError:
                return
            try:
                client.close(self._message)
            except Exception as error:
                self.errors.append(error)
