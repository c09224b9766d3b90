"""An open connection: its link and transport, and the ssh that ends with it."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from easycluster_client._attempts import find_attempt
from easycluster_client._observers import Observer
from easycluster_client._process.exit import close_at_exit
from easycluster_protocol._wire.link import Link
from easycluster_protocol.errors import AuthenticationError, ConnectError, RemoteProtocolError
from easycluster_protocol.keys import is_text
from easycluster_server._io.transport import SocketTransport


class OpenConnection:
    """An open connection.

    Args:
        link: the link, handshake done.
        transport: its transport.
        peername: the server's name, for messages.
        finish: called when the transport has been closed; it ends the ssh behind the transport.
        is_bare: whether the server has no modules of EasyCluster but those that were sent to it.
        find_end: returns how the remote process has ended, for people, or an empty text: that is not known.
        observer: sees the process on the host from outside; None: nobody does.
    """

    def __init__(
        self,
        link: Link,
        transport: SocketTransport,
        peername: str,
        finish: Callable[[float | None], None] | None = None,
        is_bare: bool = False,
        find_end: Callable[[], str] = str,
        observer: Observer | None = None,
    ) -> None:
        self.is_bare = is_bare
        self.find_end = find_end
        self.observer = observer or Observer()
        self.link = link
        self.transport = transport
        self.peername = peername
        # A client that is dropped without close() must not leave its socket to the garbage collector.
        self._finalize = weakref.finalize(self, _release, self.transport, finish)
        self._finalize.atexit = False  # too early: exit functions of the script may still make calls
        close_at_exit(self)
        attempt = find_attempt()
        if attempt is not None:  # it has not ended: definitions are still to be sent
            attempt.end_by(transport.shutdown)

    def hang_up(self) -> None:
        """Close the transport; `finish` waits for what follows from that."""
        self.transport.close()

    def finish(self, since: float | None = None) -> None:
        """Close the transport, unless it is closed, and end ssh.

        Args:
            since: when the close began, on the clock of `time.monotonic`; None: now.
        """
        # The finaliser is not called: once `weakref` has run its own exit function, calling one does nothing.
        found = self._finalize.detach()
        if found is not None:
            _, _, (transport, finish), _ = found
            _release(transport, finish, since)


def _release(
    transport: SocketTransport, finish: Callable[[float | None], None] | None, since: float | None = None
) -> None:
    transport.close()
    if finish is not None:
        finish(since)


#: The end of the error for a server that has closed the connection without a word.
_LEFT = "closed the connection during the handshake"

#: The errors that come instead when it had not read all that was sent.
_RESETS = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)

#: The ends of errors that say by themselves what to do about a peer that speaks another protocol.
_ADVICE = ("to the spec", "at both ends")


def explain_failure(error: OSError, peername: str, key: bytes | None = None) -> ConnectError:
    """Return the error for a connection that could not be made, with the name of the server.

    Args:
        error: the reason.
        peername: the name of the server.
        key: the key that the client has given, or None.
    """
    cls = type(error) if isinstance(error, ConnectError) else ConnectError
    text = f"cannot connect to {peername}: {error}"
    if isinstance(error, AuthenticationError):
        text += " (give the server's key with kf=FILE or key=KEY in the spec, or with -k or -K)"
        if key is not None and is_text(key):
            text += "; the key that was given is a text: decode_key() makes a key from it"
    if isinstance(error, RemoteProtocolError) and not text.endswith(_ADVICE):
        text += " (check host and port: is an EasyCluster server there, of the same version as here?)"
    if str(error).endswith(_LEFT) or isinstance(error, _RESETS):
        text += " (perhaps no server of EasyCluster, or one that refuses this address: its log says so)"
    return cls(text)
