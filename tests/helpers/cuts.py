"""Connections that are cut in the middle: by a relay between client and server, or by a kernel that a test plays."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any, NoReturn

from easycluster_server._io.transport import wait


def end_both(source: socket.socket, target: socket.socket) -> None:
    """End the connections to both ends in order."""
    for each in (target, source):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def end_one_way(source: socket.socket, target: socket.socket) -> None:
    """Nothing more goes to the target; what it sends still passes."""
    del source
    target.shutdown(socket.SHUT_WR)


def reset_both(source: socket.socket, target: socket.socket) -> None:
    """Reset the connections to both ends."""
    for each in (target, source):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end_both(source, target)


#: Cuts a connection; gets the socket from which bytes came, and the one to which they went.
Cut = Callable[[socket.socket, socket.socket], None]


class CuttingRelay:
    """Passes on what comes between one client and a server, up to a number of bytes in one direction.

    Args:
        port: that of the server, on this machine.
        to_server: the direction that is cut.
        limit: how many bytes pass in that direction; None: all.
        cut: what happens then.

    Attributes:
        port: where the client connects.
        passed: how many bytes have passed, to the client and to the server.
    """

    def __init__(
        self, port: int, to_server: bool = False, limit: int | None = None, cut: Cut = end_both
    ) -> None:
        self._server = port
        self._limits = (limit, None) if not to_server else (None, limit)
        self._cut = cut
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.passed = [0, 0]
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def _relay(self) -> None:
        client, _ = self._listening.accept()
        server = socket.create_connection(("127.0.0.1", self._server))
        back = threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True)
        back.start()
        self._pass_on(client, server, True)
        back.join()
        for each in (client, server, self._listening):
            each.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        limit = self._limits[to_server]
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if limit is not None:
                    data = data[: limit - self.passed[to_server]]
                self.passed[to_server] += len(data)
                target.sendall(data)
                if self.passed[to_server] == limit:
                    self._cut(source, target)
                    return
        with contextlib.suppress(OSError):
            end_both(source, target)

    def join(self) -> None:
        """Wait until both have left."""
        self._thread.join()


def _raise(error: OSError) -> NoReturn:
    raise error


#: Raises an error as a call of the kernel does: where no code of tests is in between.
raise_in_the_kernel: Callable[[OSError], NoReturn] = FunctionType(_raise.__code__, wait.__globals__)


class CutSocket:
    """A socket whose kernel takes a number of bytes, and then has lost the connection; nothing comes back unless the test
    says so.

    Args:
        limit: how many bytes it takes.
        piece: how many it takes at once.

    Attributes:
        limit: the same; a test may change it.
        taken: what it has taken.
        incoming: what came, and is to be received.
        has_ended: whether the end of the stream follows.
    """

    def __init__(self, limit: int, piece: int = 1 << 30) -> None:
        self.limit = limit
        self._piece = piece
        self.taken = b""
        self.incoming = b""
        self.has_ended = False

    def setblocking(self, blocking: bool) -> None:
        """Nothing ever blocks."""

    def setsockopt(self, *values: Any) -> None:
        """There is nothing to be set."""

    def fileno(self) -> int:
        """Return a number that is no descriptor."""
        return 1 << 20

    def send(self, data: Any, flags: int = 0) -> int:
        """Take a part of the data."""
        room = min(self.limit - len(self.taken), self._piece)
        if room <= 0 and data:
            raise_in_the_kernel(BrokenPipeError(errno.EPIPE, "Broken pipe"))
        part = bytes(data[:room])
        self.taken += part
        return len(part)

    def sendmsg(self, buffers: Any, ancillary: Any = (), flags: int = 0) -> int:
        """Take a part of the data of these buffers."""
        return self.send(b"".join(buffers))

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return a part of what came."""
        if not self.incoming and not self.has_ended:
            raise_in_the_kernel(BlockingIOError(errno.EAGAIN, "nothing came"))
        data, self.incoming = self.incoming[:size], self.incoming[size:]
        return data

    def recv_into(self, view: Any, size: int = 0, flags: int = 0) -> int:
        """Receive to a place."""
        data = self.recv(size or len(view))
        view[: len(data)] = data
        return len(data)

    def shutdown(self, how: int) -> None:
        """The connection has ended."""
        self.has_ended = True

    def close(self) -> None:
        """The connection has ended."""
        self.has_ended = True
