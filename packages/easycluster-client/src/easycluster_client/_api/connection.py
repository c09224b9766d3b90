"""The connection of a client: opening, reading, closing, and calls in their plainest form."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import NoReturn

from easycluster_client._address import Address, get_peername, is_local
from easycluster_client._calls.keywords import encode_threadid, parse_options
from easycluster_client._calls.maker import CallMaker
from easycluster_client._connect.connected import OpenConnection
from easycluster_client._connect.spec import check_trust
from easycluster_client._connect.tcp import connect_socket
from easycluster_client._deadlines import check_connect_timeout
from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._session.losses import CLOSED, UNCONNECTED, new_loss
from easycluster_client._session.session import ClientSession
from easycluster_client._ssh.shipment import calls_bundle
from easycluster_client._tls_options import TlsOptions
from easycluster_client._trust.policy import Policy
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._types import Value
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectError, ConnectionLost
from easycluster_protocol.keys import hide

if sys.version_info >= (3, 11):  # novm
    from typing import Self
else:
    from typing_extensions import Self

#: What is said of a client without a connection, by the reason.
_ABSENCES = {CLOSED: "closed", UNCONNECTED: "the connection could not be made"}


class Connection:
    """The connection of a client: opening, reading, closing, and calls in their plainest form.

    Scripts make a `Client` or a `ThreadedClient`, which are connections; this class is for `isinstance`.

    Args:
        calls: makes the calls.
        key: the key that is shared with the server, or None.
        compress: whether to compress messages, in both directions.
        connect_timeout: how long making a connection may take, in seconds.
        trust: see `Client`.
        tls: how connections over TCP are encrypted.
        keep_alive: when a silent server is asked and given up.

    Raises:
        ValueError: ``connect_timeout`` is not a positive number, or there is no such ``trust``.
    """

    def __init__(
        self,
        calls: CallMaker,
        key: bytes | None,
        compress: bool,
        connect_timeout: float,
        trust: str | None = None,
        tls: TlsOptions = TlsOptions(),  # noqa: B008 -- it never changes
        keep_alive: KeepAliveOptions = KeepAliveOptions(),  # noqa: B008
    ) -> None:
        self._easycluster_calls = calls
        self._easycluster_keep_alive = keep_alive
        key = self._easycluster_key = hide(key)
        self._easycluster_compress = compress
        self._easycluster_tls = tls
        self._easycluster_connect_timeout = check_connect_timeout(connect_timeout)
        if check_trust(trust) is not None:
            calls.restrict(Policy())
        self._easycluster_connection: OpenConnection | None = None
        self._easycluster_address: Address | None = None
        #: The name of the server that the client was, or was to be, connected to; None: there was none.
        self._easycluster_last_name: str | None = None

    def set_socket(self, sock: socket.socket, peername: str | None = None) -> None:
        """Use a socket that is connected to a server: with the client's key or, when that is blank or
        missing, as a private connection.

        Args:
            sock: the socket; from now on it belongs to the client.
            peername: the name of the server in messages; None: its address.

        Raises:
            ConnectError: the peer is not a server to which this client can connect.
            ValueError: the client is connected already.
        """
        self._easycluster_check_not_connected()
        self._easycluster_address = None
        name = peername or get_peername(sock)
        self._easycluster_note_absence(name, UNCONNECTED)
        self._easycluster_use(
            connect_socket(
                sock,
                name,
                self._easycluster_key,
                self._easycluster_compress,
                self._easycluster_connect_timeout,
                self._easycluster_tls,
                self._easycluster_keep_alive,
            ),
            name,
        )

    def _easycluster_check_not_connected(self) -> None:
        if self.connected:
            raise ValueError(f"the client is connected to {self.peername}: close() it first")

    def _easycluster_use(self, connection: OpenConnection, peername: str | None) -> None:
        self.close()  # the remains of a connection that was lost
        connection.peername = peername or connection.peername
        try:
            session = self._easycluster_new_session(connection)
        except OSError as error:  # out of descriptors
            connection.finish()
            raise ConnectError(f"cannot connect to {connection.peername}: {error}") from error
        session.remedy = self._easycluster_advise(connection.peername)
        session.find_end_by(connection.find_end)
        session.observer = connection.observer
        if connection.is_bare:
            session.send_before_first_call(m.MODULES, calls_bundle)
        self._easycluster_connection = connection
        self._easycluster_last_name = connection.peername
        self._easycluster_calls.open(session)
        try:
            self._easycluster_calls.prepare()
        except BaseException:
            self.close()
            raise
        session.way_to_end = "close()" if self._easycluster_address is None else "reconnect()"

    def _easycluster_note_absence(self, name: str, reason: str) -> None:
        """Prepare the error of calls that are made while the client has no connection."""
        self._easycluster_last_name = name
        text = f"not connected to {name} ({_ABSENCES[reason]}): {self._easycluster_advise(name)}"
        self._easycluster_calls.absence = new_loss(ConnectionLost, text, reason, name)

    def _easycluster_advise(self, name: str) -> str:
        """Return the advice for a server whose connection has ended."""
        if self._easycluster_address is not None:
            return "call reconnect() to connect again"
        if is_local(name):
            return "start a new one with spawn_local()"
        return "use a new socket with set_socket(), or connect() to a host"

    def _easycluster_new_session(self, connection: OpenConnection) -> ClientSession:
        return ClientSession(
            connection.link, connection.transport, connection.peername, self._easycluster_keep_alive
        )

    def close(self, message: str = "Connection closed") -> None:
        """Close the connection; every outstanding call raises `ConnectionLost` with ``message``.

        The remote process ends, with the processes that it started in its own session.
        """
        session, connection = self._easycluster_calls.session, self._easycluster_connection
        if session is not None and connection is not None:
            self._easycluster_note_absence(connection.peername, CLOSED)
            self._easycluster_calls.session = None
            self._easycluster_connection = None
            since = time.monotonic()
            try:
                session.close(message)
            finally:
                connection.finish(since)
            self._easycluster_calls.run_completions(session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be sent, pickled or copied: a connection belongs to the process that made it;"
            " connect again where it is needed"
        )

    def __repr__(self) -> str:
        name = type(self).__name__
        if self.connected:
            return f"<{name} connected to {self.peername}>"
        last_name = self._easycluster_last_name
        return f"<{name} not connected>" if last_name is None else f"<{name} of {last_name}, not connected>"

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as this process knows."""
        session = self._easycluster_calls.session
        return session is not None and session.error is None

    @property
    def peername(self) -> str:
        """The name of the server: ``host:port``, ``host:22`` for SSH without a port, ``local:N``. It stays
        when the connection has ended; ``(not connected)``: there was none yet."""
        return self._easycluster_last_name or "(not connected)"

    @property
    def remote_host(self) -> str | None:
        """The host of the address; None: the client has no address."""
        return self._easycluster_address.host if self._easycluster_address is not None else None

    @property
    def remote_port(self) -> int | None:
        """The port of the address, or the default; None: ssh chooses it, or the client has no address."""
        return self._easycluster_address.tcp_port if self._easycluster_address is not None else None

    @property
    def server_version(self) -> str:
        """The version of EasyCluster on the server."""
        version: str = self._easycluster_session().link.agreement.peer.version
        return version

    def _easycluster_session(self) -> ClientSession:
        return self._easycluster_calls.get_session()

    def fileno(self) -> int:
        """Return the descriptor to wait on for answers.

        Raises:
            ConnectionLost: the client is not connected.
        """
        session = self._easycluster_session()
        return session.check_descriptor(session.transport.fileno())

    def write_fileno(self) -> int:
        """Return the descriptor to wait on for sending.

        Raises:
            ConnectionLost: the client is not connected.
        """
        session = self._easycluster_session()
        return session.check_descriptor(session.transport.write_fileno())

    def ready(self) -> bool:
        """Return whether calls can be made."""
        return self.connected

    def wait_ready(self) -> None:
        """Wait until calls can be made; `connect` has already waited for that.

        Raises:
            ConnectionLost: the client is not connected.
        """
        session = self._easycluster_session()
        if session.error is not None:
            raise session.new_error()

    def read_response(self, block: bool = True) -> bool:
        """Read answers, and call the completion functions of the calls that they answer.

        Args:
            block: whether to wait for something to read.

        Returns:
            Whether anything was read, or completion functions were called for answers that had been read
            before.

        Raises:
            ConnectionLost: the connection ended.
        """
        session = self._easycluster_session()
        session.give_back()
        # Answers that were read while a call was sent may be all that there is to wait for.
        if self._easycluster_calls.run_completions(session, even_if_nested=True) > 0:
            return True
        try:
            return session.read(block)
        finally:
            self._easycluster_calls.run_completions(session, even_if_nested=True)

    def raw_call(
        self,
        name: str | Callable[..., Value],
        args: Iterable[Value],
        kwargs: dict[str, Value] | None = None,
        *positional: Value,
        **options: Value,
    ) -> Value:
        """Call a function whose keyword arguments may have any names.

        Args:
            name: the function, see `Client.call`.
            args: its arguments.
            kwargs: its keyword arguments.
            positional: the five keywords of every call by position: nonblocking, oncomplete, onerror,
                threadid, origexc.
            options: the same keywords by name, and ``timeout``, see `options`.
        """
        __tracebackhide__ = True
        settings = parse_options("raw_call", positional, options)
        return self._easycluster_calls.raw_call(name, tuple(args), dict(kwargs or {}), settings)

    def send_request(
        self,
        oid: int,
        meth: str,
        args: Iterable[Value],
        kwargs: dict[str, Value] | None = None,
        *positional: Value,
        **options: Value,
    ) -> Value:
        """Call a method of the server object ``oid``; object 0 is the server itself. For the other arguments
        see `raw_call`."""
        settings = parse_options("send_request", positional, options)
        return self._easycluster_calls.invoke(oid, meth, tuple(args), dict(kwargs or {}), settings)

    def get_root(self) -> RemoteProxy:
        """Return a proxy of the server itself, object 0. Its methods are the operations of the server, as
        in ``get_root().eval('1 + 1')``.

        Raises:
            ConnectionLost: the client is not connected.
        """
        from .root_proxy import RootProxy  # few scripts need it

        return self._easycluster_session().references.find_proxy(0, RootProxy)

    def set_default_thread(self, threadid: int) -> None:
        """Run calls without ``threadid`` in this server thread from now on; 0 is the main thread."""
        self._easycluster_calls.default_thread = encode_threadid(threadid)

    def stop_remote_thread(self, threadid: int) -> None:
        """End a server thread after the calls that are waiting for it."""
        self._easycluster_session().control(m.STOP_THREAD, encode_threadid(threadid))
