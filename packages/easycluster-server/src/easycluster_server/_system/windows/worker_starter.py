"""The owner's side of spare interpreters, of which each becomes the worker of one connection."""

from __future__ import annotations

import socket
from typing import Any, Mapping, Optional, Tuple


class SpareInterpreters:
    """Starts workers."""

    def spawn(
        self,
        link: socket.socket,
        config: Mapping[str, Any],
        words: Optional[Tuple[socket.socket, socket.socket]] = None,
    ) -> None:
        """Start a worker for a connection.

        Raises:
            OSError: it cannot be started.
        """
        raise OSError("this version of EasyCluster cannot start a worker on Windows yet")

    def abandon(self) -> None:
        """Do nothing: there are no forks here."""

    def close(self) -> None:
        """End the workers and the spare interpreters."""
