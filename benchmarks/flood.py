"""Honest clients on a slow network while strangers flood the server with connections that say nothing.

    python benchmarks/flood.py [CONNECTS_PER_SECOND [ROUND_TRIP_SECONDS]]

Prints how many of 12 clients were refused. The clients go through a relay that delays each piece of data.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from easycluster import Client, ConnectError, read_key_file

CLIENTS = 12
COMMAND = str(Path(sys.executable).parent / "easycluster")


def pump(source: socket.socket, target: socket.socket, delay: float) -> None:
    """Carry what comes from one socket to another, later."""
    try:
        while data := source.recv(65536):
            time.sleep(delay)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


def carry(client: socket.socket, port: int, delay: float) -> None:
    """Carry a connection to a port. As with TCP, the server learns of it together with the first data."""
    first = client.recv(65536)
    time.sleep(delay)
    server = socket.create_connection(("127.0.0.1", port))
    server.sendall(first)
    for pair in ((client, server), (server, client)):
        threading.Thread(target=pump, args=(*pair, delay), daemon=True).start()


def relay(listening: socket.socket, port: int, delay: float) -> None:
    """Carry connections to a port, with a delay in each direction."""
    while True:
        client, _ = listening.accept()
        threading.Thread(target=carry, args=(client, port, delay), daemon=True).start()


def flood(port: int, rate: float, stopped: threading.Event) -> None:
    """Connect again and again, and say nothing."""
    strangers: list[socket.socket] = []
    while not stopped.wait(1 / rate):
        strangers.append(socket.create_connection(("127.0.0.1", port)))
        if len(strangers) > 500:
            strangers.pop(0).close()


def main() -> None:
    """Measure."""
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 200
    delay = float(sys.argv[2]) / 2 if len(sys.argv) > 2 else 0.1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.key"
        subprocess.run([COMMAND, "-g", str(path)], check=True, stdout=subprocess.DEVNULL)
        command = [COMMAND, "-S", "-k", str(path), "-b", "127.0.0.1", "-p", "0", "-c", "QuietServer"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline().rpartition(":")[2])
            listening = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=relay, args=(listening, port, delay), daemon=True).start()
            stopped = threading.Event()
            strangers = threading.Thread(target=flood, args=(port, rate, stopped))
            strangers.start()
            time.sleep(1)  # the server's table fills
            refused = 0
            for _ in range(CLIENTS):
                try:
                    with Client(read_key_file(path), "127.0.0.1", listening.getsockname()[1]) as client:
                        client.eval("1 + 1")
                except ConnectError:
                    refused += 1
            stopped.set()
            strangers.join()
            server.terminate()
        print(
            f"{refused} of {CLIENTS} clients refused, {rate:g} connects a second, {2 * delay:g} s round trip"
        )


if __name__ == "__main__":
    main()
