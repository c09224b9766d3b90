"""The client, which calls functions on a server as if they were here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from easycluster_client._address import Address
from easycluster_client._calls.keywords import parse_options
from easycluster_client._calls.maker import CallMaker
from easycluster_client._connect.connect import connect
from easycluster_client._connect.spec import parse_connection_spec
from easycluster_client._deadlines import CONNECT_TIMEOUT
from easycluster_client._keep_alive_options import check_keep_alive
from easycluster_client._session.losses import UNCONNECTED
from easycluster_client._tls_options import check_tls
from easycluster_protocol._definitions.modules import DEFAULT_NAME
from easycluster_protocol._objects.introspection import TOOL_NAMES
from easycluster_protocol._types import Value
from easycluster_protocol.errors import KeyFileError, RemoteException
from easycluster_protocol.keys import hide, name_type
from easycluster_server._system.error_stream import print_error

from .connection import Connection
from .definitions_here import has_definition, is_own_attribute, list_definitions
from .remote_names import RemoteName, check_forwardable

if TYPE_CHECKING:
    from easycluster_client._tls_options import PathLike

if sys.version_info >= (3, 11):  # novm
    from typing import Self
else:
    from typing_extensions import Self


def check_code(label: str, kind: str, code: object) -> None:
    """Raise `TypeError` unless the argument of a method of clients is the text of code.

    Args:
        label: the method.
        kind: the code that it takes.
        code: the argument.
    """
    if not isinstance(code, (str, bytes)):
        raise TypeError(
            f"{label} takes the text of {kind}, not {type(code).__name__}: to call a function of this script"
            " on the host write host.call(function, ...)"
        )


class Client(Connection):
    """A connection to one server.

    Every attribute that is not documented here is a name on the server: ``client.f(1, 2)`` calls the
    server's ``f``, ``client.sys.platform.value`` reads a value. A call takes five keywords for itself:

    - ``nonblocking=True``: return a `NonblockingResponse` at once.
    - ``oncomplete``, ``onerror``: a function, or a tuple of a function and further arguments, that
      is called with the value or the `RemoteException` when the answer is read.
    - ``threadid``: the server thread to run in, an integer or `easycluster.SINGLE`.
    - ``origexc``: True (print the remote stack trace, raise the original exception), ``'quiet'``
      (raise it without printing) or False (raise a `RemoteException`).

    Args:
        key: the shared key of a standalone server, 32 bytes; without one, SSH is used.
        host: host name or address; None: connect later, by `connect`.
        port: TCP port; None: the default of EasyCluster, or of ssh.
        definitions: the definitions module in which names are looked up first.
        enable_compression: whether to compress messages, in both directions.
        ssh: True: use SSH; a text: the path of the ssh program; False: never; None: without a key.
        user: the user to log in as.
        rpython: the Python to run on the host.
        extra_args: further arguments of ssh.
        connect_timeout: how long making a connection may take, in seconds. Time that ssh spends
            waiting for a password, a passphrase or a confirmation does not count.
        trust: ``"results"``: unpickle nothing of the host's that could run code here, see `trust`; None:
            everything.
        tls: how a connection over TCP is encrypted. ``auto``: by TLS with the shared key where both ends have
            Python 3.13 or newer, or with the server's certificate if it has one; otherwise not at all.
            ``require``: connect only if it is encrypted. ``off``: not at all.
        tls_ca: the file or folder of the CAs that may have signed the server's certificate, which then has to
            name ``host``; None: the shared key vouches for it.
        tls_cert: the file of this client's certificate, for servers that demand one.
        tls_key: the file of its private key; None: it is in the same file.
        keep_alive_interval: after how many seconds without a sign of life from the host, while a call waits,
            it is asked for one; None: never.
        keep_alive_timeout: after how many such seconds a host that is frozen or lost is given up: every call
            that waits raises `ConnectionLost`. None: never. A host that is busy is not given up.

    Raises:
        ConnectError: the connection could not be made.
        KeyFileError: the key is not valid, or it is a connection spec.
        ValueError: ``connect_timeout`` or a limit of keep-alive is not a positive number, there is no such
            ``trust``, or the arguments for TLS contradict each other.
        DefinitionError: the definitions failed on the server.
    """

    def __init__(  # noqa: PLR0913 -- scripts rely on it
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
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        trust: str | None = None,
        tls: str = "auto",
        tls_ca: PathLike | None = None,
        tls_cert: PathLike | None = None,
        tls_key: PathLike | None = None,
        keep_alive_interval: float | None = 10,
        keep_alive_timeout: float | None = 60,
    ) -> None:
        key = hide(key)
        host = host if isinstance(host, str) else hide(host)  # it may be the key, too
        super().__init__(
            self._easycluster_new_call_maker(definitions),
            key,
            enable_compression,
            connect_timeout,
            trust,
            check_tls(tls, tls_ca, tls_cert, tls_key),
            check_keep_alive(keep_alive_interval, keep_alive_timeout),
        )
        self._easycluster_name: str | None = None
        if host is None:
            self._easycluster_check_key()
        else:
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
        spec, default_key = hide(spec), hide(default_key)
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
            peername: the name of the server in messages; None: its address.
            user: the user to log in as.
            ssh: as for `Client`.
            rpython: the Python to run on the host.
            extra_args: further arguments of ssh.

        Raises:
            ConnectError: the connection could not be made.
            ValueError: the client is connected already.
        """
        self._easycluster_check_not_connected()
        if not isinstance(host, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            host = hide(host)  # it may be the key
            raise TypeError(f"the host is its name or address, a str, not {name_type(host)}")
        self._easycluster_address = Address(
            self._easycluster_key,
            host,
            port,
            ssh,
            user,
            rpython,
            tuple(extra_args),
            self._easycluster_compress,
            self._easycluster_connect_timeout,
            self._easycluster_tls,
            self._easycluster_keep_alive,
        )
        self._easycluster_name = peername
        self._easycluster_connect()

    def reconnect(self) -> None:
        """Close the connection and connect to the same server again, in a fresh remote process.

        Raises:
            ValueError: the client has no address: it was never connected, or only by `spawn_local` or
                `set_socket`.
        """
        if self._easycluster_address is None:
            text = "reconnect() needs a client that was connected to a host before"
            if self._easycluster_last_name is not None:
                name = self._easycluster_last_name
                text += f"; for {name} it is not possible: {self._easycluster_advise(name)}"
            raise ValueError(text)
        self.close()
        self._easycluster_connect()

    def _easycluster_connect(self) -> None:
        address = self._easycluster_address
        assert address is not None
        name = self._easycluster_name
        self._easycluster_note_absence(name or address.peername, UNCONNECTED)
        self._easycluster_use(connect(address), name)

    def _easycluster_check_key(self) -> None:
        """Raise `KeyFileError` for a key that is none, as a connection spec is."""
        key: Value = self._easycluster_key
        if key and not isinstance(key, bytes):
            name = type(self).__name__
            raise KeyFileError(
                f"the first argument of {name} must be a key, not {name_type(key)}: to connect by a spec"
                f" write {name}.from_spec('user@host'); read_key_file() reads a key from a file, and"
                " decode_key() makes one from text"
            )

    def _easycluster_new_call_maker(self, definitions: str) -> CallMaker:
        return CallMaker(self, definitions)

    def __getattr__(self, name: str) -> RemoteName:
        if name[0] == "_" or name in TOOL_NAMES:
            check_forwardable(type(self).__name__, name, self, name)
        return RemoteName(self, name)

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *list_definitions(self._easycluster_calls.definitions)]

    if not TYPE_CHECKING:  # type checkers are to report attributes that do not exist

        def __setattr__(self, name: str, value: Value) -> None:
            calls = vars(self).get("_easycluster_calls")  # a subclass may have attributes before its client
            if (
                calls is not None
                and has_definition(calls.definitions, name)
                and not is_own_attribute(self, name, Client)
            ):
                raise AttributeError(
                    f"{name} is among the definitions: to set it on {self.peername}, assign to .{name}.value"
                    " (an attribute of the client would hide it)"
                )
            super().__setattr__(name, value)

    def call(self, func: str | Callable[..., Value], /, *args: Value, **kwargs: Value) -> Value:
        """Call a function on the server.

        Args:
            func: its dotted name there, or a function of this process. Functions and classes that exist
                only here (lambdas, closures, definitions of ``__main__`` or of a notebook) are sent by value,
                also among the arguments; those that can be imported are sent by name.
            args: its arguments.
            kwargs: its keyword arguments, and the five keywords of every call.
        """
        __tracebackhide__ = True
        return self._easycluster_calls.call(func, args, kwargs)

    def eval(self, expr: str, *positional: Value, **options: Value) -> Value:
        """Return the value of an expression that is evaluated in the definitions module."""
        __tracebackhide__ = True
        check_code("eval", "an expression", expr)
        return self._easycluster_calls.operation("eval", (expr,), parse_options("eval", positional, options))

    def execblock(self, code: str, *positional: Value, **options: Value) -> Value:
        """Execute statements in the definitions module; return the value that they pass to `exec_return`."""
        __tracebackhide__ = True
        check_code("execblock", "statements", code)
        return self._easycluster_calls.operation(
            "execblock", (code,), parse_options("execblock", positional, options)
        )

    def import_module(self, name: str, *positional: Value, **options: Value) -> Value:
        """Import a module on the server."""
        return self._easycluster_calls.operation(
            "import_module", (name,), parse_options("import_module", positional, options)
        )

    def import_modules(self, names: Iterable[str], *positional: Value, **options: Value) -> Value:
        """Import several modules on the server."""
        settings = parse_options("import_modules", positional, options)
        if isinstance(names, str):
            raise TypeError(
                f"import_modules takes several names: write import_modules([{names!r}]), or"
                f" import_module({names!r})"
            )
        return self._easycluster_calls.operation("import_modules", (list(names),), settings)

    def update_definitions(self, *positional: Value, **options: Value) -> Value:
        """Send the definitions that were made since the connection or the last update.

        Returns:
            None, or the response if the options ask for one.

        Raises:
            DefinitionError: a block failed on the server; the error names the block and the line. The blocks
                after it were sent as well, and no block is sent again.
        """
        return self._easycluster_calls.update_definitions(
            parse_options("update_definitions", positional, options)
        )

    def report_exception(self, exc: RemoteException) -> None:
        """Print the stack trace of an exception of remote code. Subclasses may override this."""
        if not isinstance(exc.orig, StopIteration):
            print_error(f"Exception on {self.peername}:\n{exc}\n")
