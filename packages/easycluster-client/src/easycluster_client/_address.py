"""Addresses: the server that a client connects to, the way to it, and its name in messages and errors."""

from __future__ import annotations

import socket
import sys
from typing import NamedTuple

from easycluster_protocol._constants import DEFAULT_PORT

from ._deadlines import CONNECT_TIMEOUT
from ._keep_alive_options import KeepAliveOptions
from ._tls_options import TlsOptions


class Address(NamedTuple):
    """The server that a client connects to, and how; for the fields see the arguments of `Client`."""

    key: bytes | None
    host: str
    port: int | None
    ssh: bool | str | None
    user: str | None
    rpython: str | None
    extra_args: tuple[str, ...]
    compress: bool
    timeout: float = CONNECT_TIMEOUT
    tls: TlsOptions = TlsOptions()
    keep_alive: KeepAliveOptions = KeepAliveOptions()

    def __repr__(self) -> str:
        return f"<Address {self.peername}>"  # the key stays out of logs and tracebacks

    @property
    def uses_ssh(self) -> bool:
        """Whether the connection goes over SSH."""
        return self.key is None if self.ssh is None else bool(self.ssh)

    @property
    def tcp_port(self) -> int | None:
        """The port, or the default port of TCP; None: the configuration of ssh gives it."""
        return self.port or (None if self.uses_ssh else DEFAULT_PORT)

    @property
    def peername(self) -> str:
        """The name of the server as messages show it."""
        return format_peername(self.host, self.tcp_port or 22)


def format_peername(host: str, port: int) -> str:
    """Return ``host:port``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_local(peername: str) -> bool:
    """Return whether this is the name of a server that `spawn_local` has started."""
    return peername.startswith("local:")


def get_peername(connection: socket.socket) -> str:
    """Return the name of a socket's peer as messages show it."""
    try:
        address: tuple[str, int] | tuple[str, int, int, int] | str | bytes = connection.getpeername()
    except OSError:  # not connected
        return "socket"
    # Only addresses of IP are tuples.
    return format_peername(address[0], address[1]) if isinstance(address, tuple) else "socket"


if sys.version_info >= (3, 11):  # novm

    def name_host(error: BaseException, peername: str) -> None:
        """Add a note that names the server an exception comes from, unless it is there already."""
        add_note(error, f"on {peername}")

    def add_note(error: BaseException, note: str) -> None:
        """Add a note to an exception, unless it is there already."""
        try:
            if note not in getattr(error, "__notes__", ()):
                error.__dict__.setdefault("__notes__", []).append(note)
        except Exception:  # its notes are no list
            pass

else:

    def name_host(error: BaseException, peername: str) -> None:
        """Do nothing: this Python knows no notes, so the cause of an exception, the stack trace of the host,
        names the server."""

    def add_note(error: BaseException, note: str) -> None:
        """Do nothing: this Python knows no notes."""
