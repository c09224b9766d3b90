"""The master's socket of a connection to a local server."""

from __future__ import annotations

import socket
from typing import Optional, Tuple

from easycluster_server._system.masters import make_socket_pair


class LocalSocket(socket.socket):
    """A socket with a second one beside it, on which the guardian of the local server says its last words.

    A private connection has no tags, so these words cannot go through it: where the worker has died in the
    middle of a frame, they would be taken for the rest of that frame.

    Attributes:
        words: the second socket, or None.
    """

    words: Optional[socket.socket] = None

    @classmethod
    def make_pair(cls) -> Tuple[LocalSocket, socket.socket]:
        """Return two connected sockets; see `make_socket_pair`.

        Raises:
            OSError: the system is out of descriptors.
        """
        ours, theirs = make_socket_pair()
        return cls(ours.family, ours.type, ours.proto, fileno=ours.detach()), theirs

    def close(self) -> None:
        """Close both sockets."""
        super().close()
        if self.words is not None:
            self.words.close()

    def read_words(self) -> bytes:
        """Return what the guardian has said; as often as it is asked."""
        if self.words is None:
            return b""
        try:
            self.words.setblocking(False)
            return self.words.recv(64, socket.MSG_PEEK)
        except OSError:  # it has said nothing, or this end is closed
            return b""
