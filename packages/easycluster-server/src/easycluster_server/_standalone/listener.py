"""The listener of a standalone server: accepts connections, has the key proved, and hands them over.

It is the only process that holds the key. A peer that has not proved the key costs one socket and at most
4 KiB, for at most 10 s, and `peers` bounds their number; nothing that they send is unpickled,
and no process is started for them. When the key is proved, the connection goes to the fork server and the
listener closes its own copy.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Callable, Deque, Dict, Iterable, List, Optional, Sequence, Union

from easycluster_protocol._handshake.encryption import BY_CERTIFICATE, describe
from easycluster_protocol._handshake.handshake import make_printable
from easycluster_protocol._handshake.hello import STATUS_CAPABILITY, VERSION
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._handshake.upgrade import BUNDLE
from easycluster_protocol._limits import HANDSHAKE_SECONDS, MAX_HANDSHAKE_BYTES
from easycluster_protocol.errors import ConnectError, ProtocolError
from easycluster_server._io.transport import wait
from easycluster_server._processes.profiling import profile_calls
from easycluster_server._system.confinement import Confinement
from easycluster_server._system.masters import (
    LONGEST_WAIT,
    Wakeup,
    WorkerStarter,
    detect_loss,
    make_socket_pair,
)
from easycluster_server._system.refusal import refuse
from easycluster_server._system.this_process import occupy_standard_descriptors

from .access import Access, Keys, hide_keys
from .listening import format_address, listen_on_all
from .objections import find_objections
from .peers import Peer, Peers
from .refusals import RefusalLog
from .sessions import Sessions, add_capability
from .tls_settings import TlsSettings

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import Agreement, FieldValue
    from easycluster_server._processes.worker import Config

#: The errors of a system that is out of descriptors or memory, and seconds to wait then.
_EXHAUSTION_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_EXHAUSTION_PAUSE = 0.2

log = logging.getLogger("easycluster.server")


class Listener:
    """Serves TCP connections until it is stopped; `servers.Server` tells of the arguments.

    Attributes:
        port: the TCP port.
    """

    #: How much it logs when no verbosity is given.
    default_verbosity = 0

    port: int

    def __init__(  # noqa: PLR0913 -- the published ones, and keywords
        self,
        port: int,
        key: Keys,
        bindaddr: Union[str, Sequence[str], None] = None,
        allow: Iterable[str] = (),
        verbosity: Optional[int] = None,
        disable_ipv6: bool = False,
        *,
        sockets: Sequence[socket.socket] = (),
        profile: Optional[str] = None,
        deny: Iterable[str] = (),
        max_connections: Optional[int] = None,
        run_as: Optional[str] = None,
        max_memory: Optional[int] = None,
        nice: Optional[int] = None,
        tls: str = "auto",
        tls_cert: Optional[str] = None,
        tls_key: Optional[str] = None,
        tls_ca: Optional[str] = None,
        no_upgrade: bool = False,
    ) -> None:
        key = hide_keys(key)
        self._access = Access(key, allow, deny)
        if max_connections is not None and max_connections < 1:
            raise ValueError(f"max_connections must be at least 1, not {max_connections}")
        self._confinement = Confinement(run_as, max_memory, nice)
        self._tls = TlsSettings(tls, tls_cert, tls_key, tls_ca)
        occupy_standard_descriptors()
        self._verbosity = self.default_verbosity if verbosity is None else verbosity
        self._worker_starter = WorkerStarter(max_connections, self._tls.is_offered)
        self._objections = find_objections(
            self._worker_starter.code_objection, no_upgrade, self._confinement, self._tls
        )
        self._sessions = Sessions()
        self._peers = Peers()
        self._refusals = RefusalLog()
        self._sockets = list(sockets) or listen_on_all(bindaddr, port, disable_ipv6)
        self._wakeup = Wakeup()
        self._is_stopped = False
        #: Functions that other threads and signal handlers leave here.
        self._tasks: Deque[Callable[[], object]] = deque()
        self._profile = profile and os.path.abspath(profile)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup.fileno(), selectors.EVENT_READ)
        for listening in self._sockets:
            listening.setblocking(False)
            self._selector.register(listening, selectors.EVENT_READ)
        self.port = self._sockets[0].getsockname()[1]

    @property
    def addresses(self) -> List[str]:
        """The addresses on which it listens, as ``host:port``."""
        return [format_address(listening.getsockname()) for listening in self._sockets]

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
        self._is_stopped = True
        self._wakeup.wake()

    def run_soon(self, task: Callable[[], object]) -> None:
        """Call a function in the thread of `serve`; signal handlers and other threads may ask for it.

        An `Exception` of it is logged.
        """
        self._tasks.append(task)
        self._wakeup.wake()

    def set_access(self, access: Access) -> None:
        """Let other keys or networks in from now on, also in handshakes under way; open connections stay.

        Called in the thread of `serve`, see `run_soon`.
        """
        self._access = access
        for peer in self._peers.list_all():
            peer.handshake.set_keys(access.keys)
            objection = access.find_objection(peer.host)
            if objection is not None:
                self._drop(peer, objection)

    def _run_tasks(self) -> None:
        self._wakeup.drain()
        while self._tasks:
            try:
                self._tasks.popleft()()
            except Exception as error:
                log.error("%s", error)

    def _serve_once(self) -> bool:
        deadlines = [self._peers.find_deadline(), self._refusals.deadline]
        now = time.monotonic()
        waits = [LONGEST_WAIT, *(None if each is None else max(0.0, each - now) for each in deadlines)]
        timeout = min((each for each in waits if each is not None), default=None)
        knocking: List[socket.socket] = []
        for key, _ in self._selector.select(timeout):
            if key.fd == self._wakeup.fileno():
                self._run_tasks()
                continue
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            peer = self._peers.find(ready)
            if peer is not None:
                self._receive_from(peer)
            elif ready in self._sockets:
                knocking.append(ready)
            else:
                self._pass_on_answer(ready)
        # Last: a new peer may push out one that has just said something.
        for listening in knocking:
            self._accept(listening)
        self._drop_expired()
        self._refusals.tell_rest()
        return not self._is_stopped

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, address = listening.accept()
        except OSError as error:  # the peer has left already, or the system is out of descriptors
            self._refusals.note_failure(error)
            if error.errno in _EXHAUSTION_ERRORS:  # it is still there, and would be found again at once
                wait(self._wakeup.fileno(), -1, _EXHAUSTION_PAUSE)
            return
        name = format_address(address)
        objection = self._access.find_objection(address[0])
        if objection is not None:
            self._refusals.note(name, objection)
            connection.close()
            return
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:  # macOS, BSD and Windows say so of a peer that has reset the connection
            self._refusals.note(name, str(error))
            connection.close()
            return
        handshake = ServerHandshake(
            self._access.keys,
            os.urandom(16),
            self._objections.code,
            self._objections.certificate,
            upgrade="" if self._objections.code else BUNDLE,
            **self._describe_abilities(),
        )
        self._peers.add(Peer(connection, name, address[0], handshake))
        self._selector.register(connection, selectors.EVENT_READ)
        self._drop_excess()

    def _describe_abilities(self) -> Dict[str, FieldValue]:
        if not self._worker_starter.answers_questions:
            return self._tls.fields
        return add_capability(self._tls.fields, STATUS_CAPABILITY)

    def _drop_excess(self) -> None:
        excess = self._peers.find_excess()
        if excess is not None:
            self._drop(excess, "too many peers are in their handshake")

    def _receive_from(self, peer: Peer) -> None:
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
        if reason is None and peer.handshake.asked_about is not None:
            self._ask_guardian(peer, peer.handshake.asked_about)
            return
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
        else:
            self._peers.note_key(peer)
            self._drop_excess()

    def _hand_over(self, peer: Peer, agreement: Agreement) -> None:
        """Give a connection whose peer has proved the key to a worker of its own, which welcomes the peer."""
        self._forget(peer)
        client = peer.handshake.peer
        if client is not None and client.keep_alive:
            with contextlib.suppress(OSError):  # it has left
                detect_loss(peer.connection, client.keep_alive / 1000, is_read=True)
        if self._verbosity >= 1:
            more = _describe_upgrade(peer.handshake)
            log.info("connection from %s, %s%s", peer.name, describe(agreement.tls), more)
        config: Config = {
            "agreement": agreement,
            "welcome": peer.handshake.data_to_send(),
            "leftover": peer.handshake.leftover,
            "verbosity": self._verbosity,
            "peer": peer.name,
            "tls": self._tls.files,
        }
        if self._confinement:
            is_ours = peer.handshake.code_key is None  # or it is the client's code that uses the certificate
            by_certificate = is_ours and agreement.tls is not None and agreement.tls[0] == BY_CERTIFICATE
            before = self._tls.files.load if by_certificate and self._tls.files else None
            config["confine"] = partial(self._confinement, before=before)
            config["changes_user"] = self._confinement.changes_user
        if self._profile:
            config["before_calls"] = partial(profile_calls, self._profile)
            config["profile"] = self._profile
        if peer.handshake.code_key is not None:
            config["code_key"] = peer.handshake.code_key
        try:
            if self._worker_starter.answers_questions:
                questions, theirs = make_socket_pair()
                self._sessions.add(agreement.name, questions)
                self._selector.register(questions, selectors.EVENT_READ)
                with theirs:
                    self._worker_starter.spawn(peer.connection, config, questions=theirs)
            else:
                self._worker_starter.spawn(peer.connection, config)
        except OSError as error:
            log.error("connection from %s: no process can be started for it: %s", peer.name, error)
            refuse(peer.connection.fileno(), error)
        peer.connection.close()

    def _ask_guardian(self, peer: Peer, name: bytes) -> None:
        """Ask the guardian of a session in the name of a client, which gets the answer, or asks in vain."""
        peer.is_expected = True
        if not self._sessions.ask(name, peer):
            self._answer(peer, b"")

    def _pass_on_answer(self, questions: socket.socket) -> None:
        """Pass on the answer of a guardian, or note the end of its session."""
        peers, answer = self._sessions.receive(questions)
        if not answer:
            self._selector.unregister(questions)
            questions.close()
        for peer in peers:
            if self._peers.find(peer.connection) is peer:
                self._answer(peer, answer)

    def _answer(self, peer: Peer, answer: bytes) -> None:
        peer.handshake.answer(answer)
        with contextlib.suppress(OSError):  # it has left
            peer.connection.send(peer.handshake.data_to_send())
        self._forget(peer)
        peer.connection.close()

    def _drop_expired(self) -> None:
        for peer in self._peers.list_expired(time.monotonic()):
            self._drop(peer, f"no proof of the key within {HANDSHAKE_SECONDS:.0f} s")

    def _drop(self, peer: Peer, reason: str) -> None:
        if not peer.is_expected:
            self._refusals.note(peer.name, reason)
        self._forget(peer)
        peer.connection.close()

    def _forget(self, peer: Peer) -> None:
        self._peers.remove(peer)
        self._selector.unregister(peer.connection)

    def _close(self) -> None:
        self._refusals.tell_rest(even_early=True)
        for peer in self._peers.list_all():
            self._forget(peer)
            peer.connection.close()
        self._sessions.close()
        self._selector.close()
        for listening in self._sockets:
            listening.close()
        self._wakeup.close()
        self._worker_starter.close()


def _describe_upgrade(handshake: ServerHandshake) -> str:
    if handshake.code_key is None or handshake.peer is None:
        return ""
    return f": it runs its own EasyCluster {make_printable(handshake.peer.version, 40)}, not {VERSION}"
