"""The user's own ssh, as a process whose standard input and output are one socket."""

from __future__ import annotations

import functools
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import easycluster_bootstrap as bootstrap
from easycluster_protocol.errors import ConnectError
from easycluster_server._transport import wait

from ._deadman import dead_man

if TYPE_CHECKING:
    from ._connect import Address

_ENTRY = "easycluster_server._stdio:main"

#: Seconds that ssh has to end by itself after an orderly close.
_FINISH_GRACE = 5.0

#: The most that a login may print before our code runs.
_MAX_NOISE = 16 << 20


@functools.lru_cache(maxsize=1)
def _sources() -> Any:
    return bootstrap.collect("easycluster", "easycluster_protocol", "easycluster_server")


class SshProcess:
    """A running ssh.

    Args:
        process: the process.
        connection: our end of its standard input and output.
        peername: the server's name, for messages.
    """

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, peername: str) -> None:
        self._process = process
        self.connection = connection
        self._peername = peername
        dead_man.add(process.pid)

    def start_server(self, deadline: float) -> None:
        """Send our code and wait until it runs.

        Raises:
            ConnectError: it does not.
        """
        marker = bootstrap.new_marker()
        try:
            self.connection.sendall(bootstrap.bundle(_sources(), _ENTRY, marker))
            self._skip_noise(marker + b"\n", deadline)
        except OSError as error:
            if isinstance(error, ConnectError):
                raise
            raise ConnectError(f"cannot connect to {self._peername}: {error}{self.explain_end()}") from error

    def _skip_noise(self, marker: bytes, deadline: float) -> None:
        """Read up to and with the marker, and not a byte further: what follows is the protocol's."""
        noise = b""
        while not noise.endswith(marker):
            if len(noise) > _MAX_NOISE:
                raise ConnectError(f"cannot connect to {self._peername}: the login prints without end")
            if not wait(self.connection.fileno(), -1, max(0.0, deadline - time.monotonic()))[0]:
                raise ConnectError(
                    f"cannot connect to {self._peername}: ssh or the host did not answer in time"
                )
            seen = self.connection.recv(65536, socket.MSG_PEEK)
            start = max(0, len(noise) - len(marker))
            window = noise[start:] + seen
            found = window.find(marker)
            take = len(seen) if found < 0 else found + len(marker) - (len(noise) - start)
            data = self.connection.recv(take) if seen else b""
            if not data:
                raise ConnectError(f"cannot connect to {self._peername}: ssh ended{self.explain_end()}")
            noise += data

    def explain_end(self) -> str:
        """Return what is known about the end of ssh, as the end of a sentence; it is waited for."""
        try:
            status = self._process.wait(2)
        except subprocess.TimeoutExpired:
            return ""
        return f" (ssh ended with status {status}; what it printed stands above)"

    def finish(self) -> None:
        """Wait until ssh ends, which follows from the end of the connection; else end it."""
        try:
            self._process.wait(_FINISH_GRACE)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """End ssh now."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        dead_man.discard(self._process.pid)


def ssh_command(address: Address) -> list[str]:
    """Return the command line that runs our first line on the host."""
    program = address.ssh if isinstance(address.ssh, str) else "ssh"
    command = [program, *address.extra_args]
    if address.port is not None:
        command += ["-p", str(address.port)]
    if address.user is not None:
        command += ["-l", address.user]
    # "--" ends the options, so no host name can be read as one.
    return [*command, "--", address.host, bootstrap.remote_command(address.rpython)]


def start_ssh(address: Address) -> SshProcess:
    """Start ssh.

    Raises:
        ConnectError: there is no ssh.
    """
    command = ssh_command(address)
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())
    except OSError as error:
        ours.close()
        raise ConnectError(
            f"cannot connect to {address.peername}: {command[0]!r} cannot be run: {error} "
            "(install OpenSSH's client, or name another program with ssh=PATH)"
        ) from error
    return SshProcess(process, ours, address.peername)
