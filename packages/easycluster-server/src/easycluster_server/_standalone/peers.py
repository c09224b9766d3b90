"""The peers of a listener that have not proved the key yet: how many there may be, and for how long.

Under a flood of connections the oldest peer goes, and that is an honest client that is far away. So the peers
that have named a key of this server, which costs them no more than knowing its id, have a queue of their own:
peers that have said nothing never push them out, nor the other way about.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Callable, List, Optional

from easycluster_protocol._handshake.handshake import WAIT_FOR_PROOF
from easycluster_protocol._limits import HANDSHAKE_SECONDS

if TYPE_CHECKING:
    import socket

    from easycluster_protocol._handshake.server import ServerHandshake

#: Peers that may be in the middle of their handshake at once: so many that have named a key of this server,
#: and so many that have not. Beyond that the one that has taken longest is dropped.
MAX_PENDING = 64


class Peer:
    """A peer that has not proved the key yet.

    Args:
        connection: the connection.
        name: its address and port, for people.
        host: its address.
        handshake: this end of the handshake.
        clock: the time.
    """

    def __init__(
        self,
        connection: socket.socket,
        name: str,
        host: str,
        handshake: ServerHandshake,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self.name = name
        self.host = host
        self.handshake = handshake
        self.deadline = clock() + HANDSHAKE_SECONDS
        #: Whether it has proved the key, and waits for an answer: its end is no failure.
        self.is_expected = False

    @property
    def has_named_key(self) -> bool:
        """Whether it has sent the id of a key of this server."""
        return self.handshake.state == WAIT_FOR_PROOF


class Peers:
    """The peers that have not proved the key yet, by their sockets."""

    def __init__(self) -> None:
        self._silent: OrderedDict[socket.socket, Peer] = OrderedDict()
        self._named: OrderedDict[socket.socket, Peer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._silent) + len(self._named)

    def add(self, peer: Peer) -> None:
        """Take in a new peer."""
        self._silent[peer.connection] = peer

    def find(self, connection: socket.socket) -> Optional[Peer]:
        """Return the peer of a socket, unless it has gone."""
        return self._silent.get(connection) or self._named.get(connection)

    def note_key(self, peer: Peer) -> None:
        """Move a peer to the queue of those that have named a key, once it has."""
        if peer.has_named_key and self._silent.pop(peer.connection, None) is not None:
            self._named[peer.connection] = peer

    def remove(self, peer: Peer) -> None:
        """Forget a peer."""
        self._silent.pop(peer.connection, None)
        self._named.pop(peer.connection, None)

    def find_excess(self) -> Optional[Peer]:
        """Return the peer that has to go because there are too many of its kind."""
        for queue in (self._silent, self._named):
            if len(queue) > MAX_PENDING:
                return next(iter(queue.values()))
        return None

    def list_all(self) -> List[Peer]:
        """Return all peers."""
        return [*self._silent.values(), *self._named.values()]

    def list_expired(self, now: float) -> List[Peer]:
        """Return the peers whose time is over."""
        return [peer for peer in self.list_all() if peer.deadline <= now]

    def find_deadline(self) -> Optional[float]:
        """Return when the next peer's time is over."""
        return min((peer.deadline for peer in self.list_all()), default=None)
