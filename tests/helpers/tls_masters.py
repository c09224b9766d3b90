"""A master for Python 3.13, which can encrypt with the shared key alone: ``python -m helpers.tls_masters TASK PORT FILE``.

It fails with a stack trace where something is not as it has to be, and prints "done" at its end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

#: PYTHONPATH for Pythons without our packages.
SOURCES = os.pathsep.join(map(str, [*ROOT.glob("packages/*/src"), ROOT / "tests"]))

VERSION = "3.13"

TEXT = "a text that nobody else may read"


def run_new(*arguments: object) -> str:
    """Run a master with Python 3.13."""
    from helpers.pythons import find_pythons
    from helpers.waiting import PATIENCE

    result = subprocess.run(
        [find_pythons()[VERSION], "-m", "helpers.tls_masters", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def use(port: int, spec: str) -> None:
    """Calls of every kind, interrupts and a loss, over a connection that is encrypted by the shared key."""
    import easycluster

    for kind in (easycluster.Client, easycluster.ThreadedClient):
        with kind.from_spec(f"127.0.0.1:{port}:{spec}") as client:
            assert_by_key(client)
            make_calls(client)
            interrupt(client)
    with easycluster.Client.from_spec(f"127.0.0.1:{port}:{spec}:compress=yes") as client:
        assert len(client.bytes(3_000_000)) == 3_000_000
    lose(easycluster.Client.from_spec(f"127.0.0.1:{port}:{spec}"))


def use_key(port: int, spec: str) -> None:
    """Calls of every kind over a connection that is encrypted by the shared key; also on Windows, which has neither
    signals that interrupt nor those that kill."""
    import easycluster

    for kind in (easycluster.Client, easycluster.ThreadedClient):
        with kind.from_spec(f"127.0.0.1:{port}:{spec}") as client:
            assert_by_key(client)
            make_calls(client)


def use_certificate(port: int, spec: str) -> None:
    """The same over a connection that is encrypted by the server's certificate."""
    import easycluster

    for kind in (easycluster.Client, easycluster.ThreadedClient):
        with kind.from_spec(f"127.0.0.1:{port}:{spec}") as client:
            security = easycluster.security(client)
            assert repr(security) == "<Security: TLS 1.3 with the server's certificate, checked by its CA>"
            assert security.encrypted
            make_calls(client)


def assert_by_key(client: Any) -> None:
    """The connection is encrypted by the shared key."""
    import easycluster

    security = easycluster.security(client)
    assert repr(security) == "<Security: TLS 1.3 with the shared key>"
    assert security.encrypted
    assert security.cipher == "TLS_CHACHA20_POLY1305_SHA256"


def make_calls(client: Any) -> None:
    """Calls of every kind, before and after the client connects again."""
    assert client.eval("1 + 1") == 2
    transfer(client)
    assert asyncio.run(wait_for(client)) == 7
    client.reconnect()
    assert client.eval("2 + 2") == 4
    responses = [client.eval(str(number), nonblocking=True) for number in range(50)]
    assert [response.wait() for response in responses] == list(range(50))


def transfer(client: Any) -> None:
    """Large values in both directions at once, by several threads."""
    data = os.urandom(1_500_000)
    wrong: list[int] = []

    def exchange(number: int) -> None:
        sent = data + bytes([number])
        wrong.extend(number for _ in range(4) if client.call("bytes", sent, threadid=number) != sent)

    threads = [threading.Thread(target=exchange, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


async def wait_for(client: Any) -> Any:
    """Wait as asyncio does."""
    return await client.eval("7", nonblocking=True)


def interrupt(client: Any) -> None:
    """Signal handlers that raise, at any moment: nothing gets lost."""

    class Interrupt(KeyboardInterrupt):
        pass

    def handle(number: int, frame: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, handle)
    data = os.urandom(300_000)
    count = 0
    try:
        for number in range(200):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + number % 20 * 0.0002)
                client.call("bytes", data)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupt:
                count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert count
    assert client.call("bytes", data) == data


def lose(client: Any) -> None:
    """The error for a process that was killed says so."""
    import easycluster

    try:
        client.execblock("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    except easycluster.ConnectionLost as error:
        assert "was ended by signal 9 (SIGKILL)" in str(error), error
    else:
        raise AssertionError
    client.close()


def record(port: int, spec: str) -> None:
    """The text of a call is on the wire without TLS, and with TLS it is not."""
    import easycluster
    from helpers.relays import Relay

    for tls, is_there in (("off", True), ("auto", False), ("require", False)):
        relay = Relay(port)
        with easycluster.Client.from_spec(f"127.0.0.1:{relay.port}:{spec}:tls={tls}") as client:
            assert client.call("str", TEXT) == TEXT
        relay.join()
        assert (TEXT.encode() in relay.to_server, TEXT.encode() in relay.to_client) == (is_there, is_there)
        assert b"tls-psk" in relay.to_client


def attack(port: int, file: str) -> None:
    """Whoever shows a certificate where the shared key is to be used is refused, and so is another key."""
    from easycluster_protocol._handshake.encryption import BY_KEY
    from easycluster_protocol.errors import ConnectError
    from easycluster_server._io.tls_contexts import TlsFiles
    from easycluster_server._io.tls_handshake import secure_client
    from easycluster_server._io.transport import SocketTransport

    def show_certificate() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def use_another_key() -> ssl.SSLContext:
        context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_psk_server_callback(lambda identity: b"x" * 32)
        return context  # type: ignore[no-any-return]

    def serve(context: ssl.SSLContext, connection: socket.socket) -> None:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()

    for make in (show_certificate, use_another_key):
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=serve, args=(make(), theirs))
        thread.start()
        try:
            secure_client(SocketTransport(ours), (BY_KEY, b"k" * 32), TlsFiles(), "", lambda _: None)
        except ConnectError:
            pass
        except ssl.SSLCertVerificationError:
            pass
        else:
            raise AssertionError(make)
        ours.close()
        thread.join()


if __name__ == "__main__":
    task, number, argument = sys.argv[1:]
    globals()[task](int(number), argument)
    print("done")  # noqa: T201 -- for the test
