"""The client: calls functions on one server as if they were here."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from easycluster_protocol import _messages as m
from easycluster_protocol._definitions import DEFAULT_NAME
from easycluster_protocol.errors import ConnectionLost, RemoteException

from ._calls import ALL_OPTIONS, CallMaker, thread_of
from ._connect import Address, Connected, connect, connect_socket
from ._deadline import CONNECT_TIMEOUT, check_timeout
from ._names import RemoteName, check_forwardable
from ._session import ClientSession
from ._shipment import second_part
from ._spec import parse_connection_spec

if sys.version_info >= (3, 11):  # novm
    from typing import Self
else:
    from typing_extensions import Self


class Client:
    """A connection to one server.

    Every attribute that is not documented here is a name on the server: ``client.f(1, 2)`` calls
    its ``f``, ``client.os.environ.value`` reads. A call takes five keywords for itself:

    - ``nonblocking=True``: return a `NonblockingResponse` at once.
    - ``oncomplete``, ``onerror``: a function, or a tuple of a function and further arguments, that
      is called with the value or the `RemoteException` when the answer is read.
    - ``threadid``: the server thread to run in, an integer or `easycluster.SINGLE`.
    - ``origexc``: True (print the remote stack trace, raise the original exception), ``'quiet'``
      (raise it without printing) or False (raise a `RemoteException`).

    Args:
        key: the shared key of a standalone server, 32 bytes; without one, SSH is used.
        host: host name or address. Without it the client is not connected yet.
        port: TCP port; None: the default of EasyCluster, or of ssh.
        definitions: the definitions module in which names are looked up first.
        enable_compression: whether to compress what is sent.
        ssh: True: use SSH; a text: the path of the ssh program; False: never; None: without a key.
        user: the user to log in as.
        rpython: the Python to run on the host.
        extra_args: further arguments of ssh.
        connect_timeout: how long making a connection may take, in seconds. Time that ssh spends
            waiting for a password, a passphrase or a confirmation does not count.

    Raises:
        ConnectError: the connection could not be made.
        KeyFileError: the key is no key.
        ValueError: the limit is no positive number.
        DefinitionError: the definitions failed on the server.
    """

    def __init__(
        self,
        key: bytes | None = None,
        host: str | None = None,
        port: int | None = None,
        definitions: str = DEFAULT_NAME,
        enable_compression: bool = False,
        ssh: bool | str | None = None,
        user: str | None = None,
        rpython: str | None = None,
        extra_args: Sequence[str] = (),
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self._easycluster = self._new_call_maker(definitions)
        self._key = key
        self._connect_timeout = check_timeout(connect_timeout)
        self._compress = enable_compression
        self._connected: Connected | None = None
        self._address: Address | None = None
        if host is not None:
            self.connect(host, port, user=user, ssh=ssh, rpython=rpython, extra_args=extra_args)

    @classmethod
    def from_spec(
        cls, spec: str, default_port: int | None = None, default_key: bytes | None = None, warn: bool = True
    ) -> Self:
        """Connect to the server that a connection spec names, see `parse_connection_spec`.

        Raises:
            SpecError: the spec cannot be used.
            ConnectError: the connection could not be made.
        """
        return cls(**parse_connection_spec(spec, default_port, default_key or b"", warn=warn))

    def connect(
        self,
        host: str,
        port: int | None = None,
        peername: str | None = None,
        user: str | None = None,
        ssh: bool | str | None = None,
        rpython: str | None = None,
        extra_args: Sequence[str] = (),
    ) -> None:
        """Connect to a server; on return it is ready. For the arguments see `Client`.

        Args:
            host: host name or address.
            port: TCP port; None: the default of EasyCluster, or of ssh.
            peername: the name under which the server appears in messages.
            user: the user to log in as.
            ssh: as for `Client`.
            rpython: the Python to run on the host.
            extra_args: further arguments of ssh.

        Raises:
            ConnectError: the connection could not be made.
            ValueError: the client is connected already.
        """
        if self.connected:
            raise ValueError(f"the client is connected to {self.peername}: close() it first")
        self._address = Address(
            self._key,
            host,
            port,
            ssh,
            user,
            rpython,
            tuple(extra_args),
            self._compress,
            self._connect_timeout,
        )
        self._use(connect(self._address), peername)

    def reconnect(self) -> None:
        """Close the connection and connect to the same server anew, in a fresh remote process.

        Raises:
            ValueError: there is nothing to connect to: the client never was connected, or by
                `spawn_local` or `set_socket`.
        """
        if self._address is None:
            raise ValueError("reconnect() needs a client that was connected to a host before")
        peername = self.peername
        self.close()
        self._use(connect(self._address), peername)

    def set_socket(self, sock: socket.socket, peername: str | None = None) -> None:
        """Use a socket on whose other side a server waits for a private connection."""
        if self.connected:
            raise ValueError(f"the client is connected to {self.peername}: close() it first")
        self._address = None
        self._use(connect_socket(sock, peername or "socket", self._compress), peername)

    def _new_call_maker(self, definitions: str) -> CallMaker:
        return CallMaker(self, definitions)

    def _use(self, connected: Connected, peername: str | None) -> None:
        connected.peername = peername or connected.peername
        session = self._new_session(connected)
        if connected.bare:
            session.send_before_first_call(m.MODULES, second_part)
        self._connected = connected
        self._easycluster.open(session)
        try:
            self._easycluster.prepare()
        except BaseException:
            self.close()
            raise

    def _new_session(self, connected: Connected) -> ClientSession:
        return ClientSession(connected.link, connected.transport, connected.peername)

    def close(self, message: str = "Connection closed") -> None:
        """Close the connection; every outstanding call raises `ConnectionLost` with ``message``.

        The remote process ends, with the processes it started in its own session.
        """
        session, connected = self._easycluster.session, self._connected
        if session is not None and connected is not None:
            self._easycluster.session = None
            self._connected = None
            try:
                session.close(message)
            finally:
                connected.finish()
            self._easycluster.run_completions(session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = f"connected to {self.peername}" if self.connected else "not connected"
        return f"<{type(self).__name__} {state}>"

    def __getattr__(self, name: str) -> RemoteName:
        if name[0] == "_":
            check_forwardable(type(self).__name__, name)
        return RemoteName(self, name)

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as is known."""
        session = self._easycluster.session
        return session is not None and session.error is None

    @property
    def peername(self) -> str:
        """The server's name: ``host:port``, ``host:22`` for SSH without a port, ``local:N``."""
        return self._connected.peername if self._connected is not None else "(not connected)"

    @property
    def remote_host(self) -> str | None:
        """The host that was asked for."""
        return self._address.host if self._address is not None else None

    @property
    def remote_port(self) -> int | None:
        """The port that was asked for."""
        return self._address.port if self._address is not None else None

    @property
    def server_version(self) -> str:
        """The version of EasyCluster on the server."""
        version: str = self._session().link.session.peer.version
        return version

    def _session(self) -> ClientSession:
        session = self._easycluster.session
        if session is None:
            raise ConnectionLost("the client is not connected: call connect() first")
        return session

    def fileno(self) -> int:
        """Return the descriptor to wait on for answers."""
        descriptor: int = self._session().transport.fileno()
        return descriptor

    def write_fileno(self) -> int:
        """Return the descriptor to wait on for sending."""
        descriptor: int = self._session().transport.write_fileno()
        return descriptor

    def ready(self) -> bool:
        """Return whether calls can be made."""
        return self.connected

    def wait_ready(self) -> None:
        """Wait until calls can be made; `connect` has done so already.

        Raises:
            ConnectionLost: the client is not connected.
        """
        session = self._session()
        if session.error is not None:
            raise ConnectionLost(str(session.error))

    def call(self, func: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function on the server.

        Args:
            func: its dotted name there, or a function of this process. What exists only here
                (lambdas, closures, what ``__main__`` or a notebook defines) goes by value, also
                among the arguments; what can be imported goes by name.
            args: its arguments.
            kwargs: its keyword arguments, beside the five keywords of every call.
        """
        return self._easycluster.call(func, args, kwargs)

    def raw_call(
        self,
        name: str | Callable[..., Any],
        args: Iterable[Any],
        kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Call ``name`` with arguments that are given as they are.

        Args:
            name: as for `call`.
            args: its arguments.
            kwargs: its keyword arguments, whatever their names.
            options: the five keywords of every call, and ``timeout``, see `options`.
        """
        return self._easycluster.raw_call(name, tuple(args), dict(kwargs or {}), _only_options(options))

    def send_request(
        self, oid: int, meth: str, args: Iterable[Any], kwargs: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """Call a method of the server object ``oid``; object 0 is the server itself. For the rest see
        `raw_call`."""
        return self._easycluster.invoke(oid, meth, tuple(args), dict(kwargs or {}), _only_options(options))

    def eval(self, expr: str, **options: Any) -> Any:
        """Return the value of an expression that is evaluated in the definitions module."""
        return self._easycluster.operation("eval", (expr,), options)

    def execblock(self, code: str, **options: Any) -> Any:
        """Execute statements in the definitions module; return what they pass to `exec_return`."""
        return self._easycluster.operation("execblock", (code,), options)

    def import_module(self, name: str, **options: Any) -> Any:
        """Import a module on the server."""
        return self._easycluster.operation("import_module", (name,), options)

    def import_modules(self, names: Iterable[str], **options: Any) -> Any:
        """Import several modules on the server."""
        return self._easycluster.operation("import_modules", (list(names),), options)

    def update_definitions(self) -> None:
        """Send the definitions that were made since the connection or the last update.

        Raises:
            DefinitionError: a block failed on the server; the error names block and line. The
                blocks after it were sent as well, and none is sent again.
        """
        self._easycluster.update_definitions()

    def read_response(self, block: bool = True) -> bool:
        """Read what the server sends and call the completion functions of the calls it answers.

        Args:
            block: whether to wait for something to read.

        Returns:
            Whether anything was read, or had been read before and was not dealt with yet.

        Raises:
            ConnectionLost: the connection ended.
        """
        session = self._session()
        # What was read while a call was sent may be all that there is to wait for.
        if self._easycluster.run_completions(session, nested=True) > 0:
            return True
        try:
            return session.read(block)
        finally:
            self._easycluster.run_completions(session, nested=True)

    def set_default_thread(self, threadid: int) -> None:
        """Run calls without ``threadid`` in this server thread from now on; 0 is the main thread."""
        self._easycluster.default_thread = thread_of(threadid)

    def stop_remote_thread(self, threadid: int) -> None:
        """End a server thread when the calls that wait for it are done."""
        self._session().control(m.STOP_THREAD, thread_of(threadid))

    def report_exception(self, exc: RemoteException) -> None:
        """Print the stack trace of an exception of remote code; override it to do something else."""
        if not isinstance(exc.orig, StopIteration):
            sys.stderr.write(f"Exception on {self.peername}:\n{exc}\n")


def _only_options(options: dict[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in ALL_OPTIONS:
            raise TypeError(
                f"unexpected keyword argument {name!r}: arguments of the function go into kwargs="
            )
    return options
