"""A relay between client and server, which records or changes what passes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

#: Takes the bytes that came, and whether they are for the server; returns those to pass on.
Change = Callable[[bytes, bool], bytes]


def keep(data: bytes, to_server: bool) -> bytes:
    """Change nothing."""
    return data


class Relay:
    """Passes on what comes between one client and a server.

    Args:
        port: that of the server, on this machine.
        change: changes what passes.
        rate: bytes that pass in a second, in each direction; None: as many as the machine can.

    Attributes:
        port: where the client connects.
        to_server, to_client: all that has come, for the server and for the client.
    """

    def __init__(self, port: int, change: Change = keep, rate: float | None = None) -> None:
        self._server = port
        self._rate = rate
        self._change = change
        self._listening = socket.create_server(("127.0.0.1", 0))
        if rate:
            self._make_narrow(self._listening)
        self.port = int(self._listening.getsockname()[1])
        self.to_server = b""
        self.to_client = b""
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    @staticmethod
    def _make_narrow(connection: socket.socket) -> None:
        """Let the system take few bytes ahead, and acknowledge them as they pass."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)

    def _relay(self) -> None:
        client, _ = self._listening.accept()
        server = socket.create_connection(("127.0.0.1", self._server))
        if self._rate:
            self._make_narrow(server)
        back = threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True)
        back.start()
        self._pass_on(client, server, True)
        back.join()
        for each in (client, server, self._listening):
            each.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if to_server:
                    self.to_server += data
                else:
                    self.to_client += data
                target.sendall(self._change(data, to_server))
                if self._rate:
                    time.sleep(len(data) / self._rate)  # noqa: TID251 -- the speed of this link
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Wait until both have left."""
        self._thread.join()
