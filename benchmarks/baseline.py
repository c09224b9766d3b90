"""The least that a remote call can be, written by hand: what EasyCluster is measured beside.

A blocking socket, pickle protocol 5, one length in front of each message, and on keyed connections
an HMAC-SHA256 of each message, made and checked by `hmac.digest`. Nothing else: no request ids, no
threads, no cancels, no exceptions that travel, no replay protection. It is written to be fast: a
message that arrives whole costs one ``recv``, and large buffers travel beside the pickle.
"""

from __future__ import annotations

import hmac
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_LENGTH = struct.Struct(">Q")
_TAG_SIZE = 32
_RECEIVE = 1 << 16

#: Large buffers are authenticated in pieces, so that one end checks while the other goes on sending.
_PIECE = 1 << 20


class Peer:
    """One end of a connection.

    Args:
        connection: a connected stream socket.
        key: the key of a keyed connection.
    """

    def __init__(self, connection: socket.socket, key: bytes | None) -> None:
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._key = key
        self._prefix = _LENGTH.size + (_TAG_SIZE if key is not None else 0)
        self._data = b""
        self._start = 0

    def pack(self, value: Any) -> bytes:
        """Return the message that carries ``value``."""
        body = pickle.dumps(value, 5)
        if self._key is None:
            return _LENGTH.pack(len(body)) + body
        return _LENGTH.pack(len(body)) + hmac.digest(self._key, body, "sha256") + body

    def send(self, value: Any) -> None:
        """Send ``value``."""
        self._socket.sendall(self.pack(value))

    def send_packed(self, messages: list[bytes]) -> None:
        """Send what `pack` returned, all at once."""
        self._socket.sendall(b"".join(messages))

    def receive(self) -> Any:
        """Return the next value.

        Raises:
            EOFError: the peer is gone.
        """
        prefix = self._take(self._prefix)
        body = self._take(_LENGTH.unpack_from(prefix)[0])
        if self._key is not None:
            self._check(body, prefix[_LENGTH.size :])
        return pickle.loads(body)

    def call(self, name: str, *args: Any) -> Any:
        """Call a function of the server."""
        self.send((name, args, {}))
        return self.receive()

    def close(self) -> None:
        """Close the connection; the server ends."""
        self._socket.close()

    def _check(self, body: Any, tag: Any) -> None:
        assert self._key is not None
        if not hmac.compare_digest(hmac.digest(self._key, body, "sha256"), tag):
            raise ValueError("a message was changed on its way")

    def _take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        end = self._start + size
        if end > len(self._data):
            self._fill(size)
            end = size
        piece = self._data[self._start : end]
        self._start = end
        return piece

    def _fill(self, size: int) -> None:
        """Receive until ``size`` bytes are there, and begin anew with them at 0."""
        parts = [self._data[self._start :]]
        missing = size - len(parts[0])
        while missing > 0:
            part = self._socket.recv(_RECEIVE)
            if not part:
                raise EOFError
            parts.append(part)
            missing -= len(part)
        self._data = b"".join(parts)
        self._start = 0


class BulkPeer(Peer):
    """One end of a connection whose large buffers travel beside the pickle (PEP 574)."""

    def send(self, value: Any) -> None:
        """Send ``value``."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(value, 5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        super().send((body, [len(view) for view in views]))
        for view in views:
            for start in range(0, len(view), _PIECE):
                piece = view[start : start + _PIECE]
                if self._key is not None:
                    self._socket.sendall(hmac.digest(self._key, piece, "sha256"))
                self._socket.sendall(piece)

    def receive(self) -> Any:
        """Return the next value; its buffers are received straight to their places."""
        body, lengths = super().receive()
        return pickle.loads(body, buffers=[self._receive_buffer(length) for length in lengths])

    def _receive_buffer(self, length: int) -> memoryview:
        # NumPy's memory is not cleared first and comes in huge pages: the fastest there is.
        import numpy as np

        view = memoryview(np.empty(length, np.uint8))
        tag = memoryview(bytearray(_TAG_SIZE))
        for start in range(0, length, _PIECE):
            piece = view[start : start + _PIECE]
            if self._key is None:
                self._take_into(piece)
            else:
                self._take_into(tag)
                self._take_into(piece)
                self._check(piece, tag)
        return view

    def _take_into(self, target: memoryview) -> None:
        here = self._data[self._start : self._start + len(target)]
        self._start += len(here)
        target[: len(here)] = here
        target = target[len(here) :]
        while target:
            count = self._socket.recv_into(target)
            if not count:
                raise EOFError
            target = target[count:]


def noop() -> None:
    """Do nothing."""


def echo(value: Any) -> Any:
    """Return the argument."""
    return value


FUNCTIONS: dict[str, Callable[..., Any]] = {"noop": noop, "echo": echo}


def serve(peer: Peer) -> NoReturn:
    """Execute calls until the client is gone, then end this process."""
    try:
        while True:
            name, args, kwargs = peer.receive()
            peer.send(FUNCTIONS[name](*args, **kwargs))
    except (EOFError, ConnectionError):
        pass
    finally:
        os._exit(0)


def connect_local(kind: type[Peer] = Peer) -> tuple[Peer, int]:
    """Fork a server for one connection without a key; return the connection and the server's pid."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(kind(theirs, None))
    theirs.close()
    return kind(ours, None), pid


@contextmanager
def local_server(kind: type[Peer] = Peer) -> Iterator[Peer]:
    """As `connect_local`; in the end the server is gone."""
    peer, pid = connect_local(kind)
    try:
        yield peer
    finally:
        peer.close()
        os.waitpid(pid, 0)


@contextmanager
def listener(key: bytes, kind: type[Peer] = Peer) -> Iterator[Callable[[], Peer]]:
    """Fork a server that forks for each TCP connection; yield what connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        pid = os.fork()
        if pid == 0:
            _accept(listening, key, kind)
    try:
        yield lambda: kind(socket.create_connection(address), key)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def started_listener(key: bytes) -> Iterator[Callable[[], Peer]]:
    """As `listener`, but the server is a new interpreter, not a copy of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        process = subprocess.Popen(
            [sys.executable, __file__, str(listening.fileno()), key.hex()], pass_fds=[listening.fileno()]
        )
    with process:
        try:
            yield lambda: Peer(socket.create_connection(address), key)
        finally:
            process.kill()


def _accept(listening: socket.socket, key: bytes, kind: type[Peer]) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            serve(kind(connection, key))
        connection.close()


if __name__ == "__main__":
    _accept(socket.socket(fileno=int(sys.argv[1])), bytes.fromhex(sys.argv[2]), Peer)
