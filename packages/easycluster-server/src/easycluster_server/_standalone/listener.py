"""The listener of a standalone server: accepts connections, has the key proved, and hands them over.

It is the only process that holds the key. A peer that has not proved the key costs one socket and at most
4 KiB, for at most 10 s, and there are at most `MAX_PENDING` such peers; nothing that they send is unpickled,
and no process is started for them. When the key is proved, the connection goes to the fork server and the
listener closes its own copy.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import selectors
import socket
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Iterable, List, Optional, Sequence, Tuple

from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._limits import HANDSHAKE_SECONDS, MAX_HANDSHAKE_BYTES
from easycluster_protocol.errors import ConnectError, ProtocolError
from easycluster_protocol.keys import check_key, hide
from easycluster_server._io.transport import wait
from easycluster_server._system.masters import LONGEST_WAIT, Wakeup, WorkerStarter, own_port
from easycluster_server._system.refusal import refuse
from easycluster_server._system.this_process import occupy_standard_descriptors

from .port_owner import find_port_owner
from .profiling import profile_calls

if TYPE_CHECKING:
    from typing import Union

    from easycluster_protocol._handshake.hello import Agreement
    from easycluster_server._processes.worker import Config

    #: Host and port, and for IPv6 two numbers more: as the functions of `socket` take and return it.
    SocketAddress = Tuple[Union[str, int], ...]

#: The errors of a system where IPv6 is known but switched off.
_FAMILY_ERRORS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)

#: The errors of a system that is out of descriptors or memory, and seconds to wait then.
_EXHAUSTION_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTION_PAUSE = 0.2

#: Peers that may be in the middle of their handshake at once. Beyond that the one that has taken longest is
#: dropped, so slow strangers cannot keep out a client that knows the key.
MAX_PENDING = 64

log = logging.getLogger("easycluster.server")


class _Peer:
    """A peer that has not proved the key yet."""

    def __init__(self, connection: socket.socket, name: str, handshake: ServerHandshake) -> None:
        self.connection = connection
        self.name = name
        self.handshake = handshake
        self.deadline = time.monotonic() + HANDSHAKE_SECONDS


class Listener:
    """Serves TCP connections until it is stopped; `servers.Server` tells of the arguments.

    Attributes:
        port: the TCP port.
    """

    #: How much it logs when no verbosity is given.
    default_verbosity = 0

    port: int

    def __init__(
        self,
        port: int,
        key: bytes,
        bindaddr: Optional[str] = None,
        allow: Iterable[str] = (),
        verbosity: Optional[int] = None,
        disable_ipv6: bool = False,
        *,
        sockets: Sequence[socket.socket] = (),
        profile: Optional[str] = None,
    ) -> None:
        key = hide(key)
        check_key(key, "the server")
        occupy_standard_descriptors()
        self._key = key
        self._allow = [ipaddress.ip_network(network, strict=False) for network in allow]
        self._verbosity = self.default_verbosity if verbosity is None else verbosity
        self._worker_starter = WorkerStarter()
        self._pending: OrderedDict[socket.socket, _Peer] = OrderedDict()
        self._sockets = list(sockets) or _listen(bindaddr, port, disable_ipv6)
        self._stopping = Wakeup()
        self._profile = profile and os.path.abspath(profile)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stopping.fileno(), selectors.EVENT_READ)
        for listening in self._sockets:
            listening.setblocking(False)
            self._selector.register(listening, selectors.EVENT_READ)
        self.port = self._sockets[0].getsockname()[1]

    @property
    def addresses(self) -> List[str]:
        """The addresses on which it listens, as ``host:port``."""
        return [_format_address(listening.getsockname()) for listening in self._sockets]

    def serve(self) -> None:
        """Accept connections until `stop` is called. Open connections end with the listener."""
        try:
            self._worker_starter.prepare()
            while self._serve_once():
                pass
        finally:
            self._close()

    def stop(self) -> None:
        """Make `serve` return; may be called from a signal handler or another thread."""
        self._stopping.wake()

    def _serve_once(self) -> bool:
        timeout = LONGEST_WAIT
        if self._pending:
            first = next(iter(self._pending.values()))
            left = max(0.0, first.deadline - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        for key, _ in self._selector.select(timeout):
            if key.fd == self._stopping.fileno():
                return False
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            if ready in self._sockets:
                self._accept(ready)
            elif ready in self._pending:
                self._receive_from(self._pending[ready])
        self._drop_expired()
        return True

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, address = listening.accept()
        except OSError as error:  # the peer has left already, or the system is out of descriptors
            log.warning("a connection could not be accepted: %s", error)
            if error.errno in _EXHAUSTION_ERRORS:  # it is still there, and would be found again at once
                wait(self._stopping.fileno(), -1, _EXHAUSTION_PAUSE)
            return
        name = _format_address(address)
        if not self._is_allowed(address[0]):
            log.warning("connection from %s refused: not in an allowed network", name)
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        handshake = ServerHandshake(self._key, session=os.urandom(16))
        self._pending[connection] = _Peer(connection, name, handshake)
        self._selector.register(connection, selectors.EVENT_READ)
        if len(self._pending) > MAX_PENDING:
            self._drop(next(iter(self._pending.values())), "too many peers are in their handshake")

    def _is_allowed(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        return not self._allow or any(address in network for network in self._allow)

    def _receive_from(self, peer: _Peer) -> None:
        """Go on with the handshake of a peer from which bytes have come."""
        reason: Optional[str] = None
        try:
            data = peer.connection.recv(MAX_HANDSHAKE_BYTES)
            if not data:
                reason = "it left during the handshake"
            else:
                peer.handshake.receive_data(data)
        except BlockingIOError:
            return
        except (ConnectError, ProtocolError, OSError) as error:
            reason = str(error)
        if reason is None and peer.handshake.agreement is not None:
            self._hand_over(peer, peer.handshake.agreement)
            return
        try:
            reply = peer.handshake.data_to_send()
            # The replies are far smaller than an empty socket buffer; a peer that does not read is dropped.
            if reply and peer.connection.send(reply) != len(reply):
                reason = reason or "it does not read"
        except OSError as error:
            reason = reason or str(error)
        if reason is not None:
            self._drop(peer, reason)

    def _hand_over(self, peer: _Peer, agreement: Agreement) -> None:
        """Give a connection whose peer has proved the key to a worker of its own, which welcomes the peer."""
        self._forget(peer)
        if self._verbosity >= 1:
            log.info("connection from %s", peer.name)
        config: Config = {
            "agreement": agreement,
            "welcome": peer.handshake.data_to_send(),
            "leftover": peer.handshake.leftover,
            "verbosity": self._verbosity,
            "peer": peer.name,
        }
        if self._profile:
            config["before_calls"] = partial(profile_calls, self._profile)
        try:
            self._worker_starter.spawn(peer.connection, config)
        except OSError as error:
            log.error("connection from %s: no process can be started for it: %s", peer.name, error)
            refuse(peer.connection.fileno(), error)
        peer.connection.close()

    def _drop_expired(self) -> None:
        now = time.monotonic()
        for peer in list(self._pending.values()):
            if peer.deadline > now:
                break  # the peers are in the order of their deadlines
            self._drop(peer, f"no proof of the key within {HANDSHAKE_SECONDS:.0f} s")

    def _drop(self, peer: _Peer, reason: str) -> None:
        log.warning("connection from %s refused: %s", peer.name, reason)
        self._forget(peer)
        peer.connection.close()

    def _forget(self, peer: _Peer) -> None:
        del self._pending[peer.connection]
        self._selector.unregister(peer.connection)

    def _close(self) -> None:
        for peer in list(self._pending.values()):
            self._forget(peer)
            peer.connection.close()
        self._selector.close()
        for listening in self._sockets:
            listening.close()
        self._stopping.close()
        self._worker_starter.close()


def _listen(bindaddr: Optional[str], port: int, disable_ipv6: bool) -> List[socket.socket]:
    """Open listening sockets for an address, or for every address of both families."""
    family = socket.AF_INET if disable_ipv6 else socket.AF_UNSPEC
    try:
        found = socket.getaddrinfo(bindaddr, port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(error.errno, f"cannot listen on {bindaddr}: {error.strerror}") from error
    sockets: List[socket.socket] = []
    refused: Optional[OSError] = None
    # IPv6 last: a machine may know its addresses although the kernel has it switched off.
    for number, _, _, _, address in sorted(found, key=lambda entry: entry[0] != socket.AF_INET):
        # With port 0, both families listen on the port that was chosen for the first.
        chosen = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_listen_on(number, (address[0], chosen, *address[2:])))
        except OSError as error:
            refused = error
            if error.errno not in _FAMILY_ERRORS:
                break
    if refused is not None and (not sockets or refused.errno not in _FAMILY_ERRORS):
        for listening in sockets:
            listening.close()
        owner = find_port_owner(port) if refused.errno == errno.EADDRINUSE else None
        reason = f"{refused.strerror} by {owner}" if owner else refused.strerror
        raise OSError(refused.errno, f"cannot listen on {bindaddr or 'port'} {port}: {reason}")
    return sockets


def _listen_on(family: int, address: SocketAddress) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        own_port(listening)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(128)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def _format_address(address: SocketAddress) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
