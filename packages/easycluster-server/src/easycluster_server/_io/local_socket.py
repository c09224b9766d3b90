"""The master's socket of a connection to a local server."""

from __future__ import annotations

import socket
from typing import Any, List, Optional, Tuple

from easycluster_server._system.masters import make_socket_pair

from .questions import QUESTION

#: When so many bytes of answers have come, all but so many of them are forgotten.
_MAX_SAID, _KEPT = 4096, 256


class LocalSocket(socket.socket):
    """A socket with a second one beside it, for questions to the guardian of the local server and its last
    words.

    A private connection has no tags, so these words cannot go through it: where the worker has died in the
    middle of a frame, they would be taken for the rest of that frame.

    Attributes:
        words: the second socket, or None.
        answers: whether the guardian answers questions.
    """

    answers = False

    words: Optional[socket.socket] = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        #: What the guardian has said.
        self._said: List[bytes] = []

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

    def ask(self) -> None:
        """Ask the guardian how the worker is; never waits."""
        if self.words is not None:
            try:
                self.words.setblocking(False)
                self.words.send(QUESTION)
            except OSError:  # it does not read them, or has ended
                pass

    def read_words(self) -> bytes:
        """Return everything that the guardian has said so far; as often as it is asked."""
        if self.words is not None:
            try:
                self.words.setblocking(False)
                self._said.extend(map(self.words.recv, (4096,)))  # one C call: no interrupt loses anything
            except OSError:  # it has said nothing more, or this end is closed
                pass
        said = b"".join(self._said)
        if len(said) > _MAX_SAID:
            self._said = [said[-_KEPT:]]
        return said
