"""The user's own ssh as a process, whose standard input and output are one socket."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import easycluster_bootstrap as bootstrap
from easycluster_client._deadlines import Deadline
from easycluster_client._process import children
from easycluster_client._process.exit import deadline_of_end
from easycluster_protocol.errors import ConnectError, EasyClusterError
from easycluster_server._io.transport import wait
from easycluster_server._system.masters import make_socket_pair
from easycluster_server._system.programs import DONT_WAIT, close_output, open_output, start_on_socket

from .command import build_command, format_manual_command, get_program_name
from .dead_man import dead_man
from .ends import find_end
from .failures import SshFailure, explain_failure
from .output import RemoteOutput
from .prompts import is_prompting
from .shipment import startup_bundle

if TYPE_CHECKING:
    from easycluster_client._address import Address
    from easycluster_protocol._handshake.hello import Hello

#: Seconds after the beginning of an orderly close in which ssh may end by itself; then it is ended.
_FINISH_GRACE = 3.0

#: Seconds that such an ssh has to end after each signal, and those in which its last output is read.
_SIGNAL_GRACE = 0.4
_LAST_OUTPUT_GRACE = 0.4

#: Seconds for the words of an ssh that has failed, or lost its connection.
_WORDS_GRACE = 1.0

#: Seconds between two checks whether ssh has ended while it sends nothing.
_POLL_INTERVAL = 0.05

#: The longest time between two looks of the guardian is half of this, in seconds.
_LONGEST_LOOK = 3600.0

#: The greatest number of bytes that a login may print before our code runs, and that of those in an error.
_MAX_NOISE = 16 << 20
_QUOTED_NOISE = 1024


class SshProcess:
    """One ssh, from before its start until after its end.

    Args:
        address: the address that it connects to.

    Attributes:
        connection: our end of the socket that is its standard input and output.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._marker = bootstrap.new_marker()
        self._noise = b""  # the latest bytes that came before the marker
        self._has_answered = False
        self._sent = b""  # our code, until the host has answered
        self._has_terminal = False
        self._is_returned = False  # whether the host sends back what we sent
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._output: RemoteOutput | None = None
        self._launching: threading.Event | None = None
        self._failure: Exception | None = None
        self.connection, self._ssh_end = make_socket_pair()

    def start(self) -> None:
        """Start ssh. If this raises, the caller still has to call `explain` or `kill`.

        Raises:
            ConnectError: there is no ssh, or it cannot be started.
        """
        command = build_command(self._address)
        # In another thread, where no signal handler raises: so a process that was started is always noted.
        launch = threading.Thread(target=self._launch, args=(command,), daemon=True)
        self._launching = threading.Event()
        launch.start()
        self._launching.wait()
        launch.join()
        if self._failure is not None:
            raise ConnectError(str(self._failure)) from self._failure

    def _launch(self, command: list[str]) -> None:
        assert self._launching is not None
        try:
            reading, errors = open_output()
            try:
                try:
                    self._output = RemoteOutput(reading)
                except BaseException:
                    close_output(reading)
                    raise
                self._process = start_on_socket(command, self._ssh_end, errors)
            finally:
                close_output(errors)
            dead_man.add(self._process.pid)
        except Exception as error:
            self._failure = error
        finally:
            self._ssh_end.close()
            self._launching.set()

    def is_prompting(self) -> bool:
        """Return whether ssh is waiting for the user."""
        return self._process is not None and is_prompting(self._process.pid)

    def send_server(self, client: Hello, deadline: Deadline) -> None:
        """Send the code of the server, and the client's description of itself.

        Raises:
            ConnectError: the time is over.
            OSError: ssh has ended.
        """
        self._sent = startup_bundle(self._marker, client.pickle_protocol, bool(client.compress), self.looks)
        rest = memoryview(self._sent)
        while rest:
            deadline.wait(-1, self.connection.fileno())
            rest = rest[self.connection.send(rest, DONT_WAIT) :]

    def wait_for_server(self, deadline: Deadline) -> None:
        """Wait until the code of the server runs.

        Raises:
            ConnectError: the time is over, or ssh has ended.
        """
        self._skip_noise(self._marker + b"\n", deadline)
        if self._output is not None:
            self._output.show()

    def _skip_noise(self, marker: bytes, deadline: Deadline) -> None:
        """Read up to the end of the marker, and not a byte further: the protocol begins after it."""
        count = 0
        end = b""  # the last bytes that were read, fewer than the marker has
        while True:
            deadline.wait(self.connection.fileno())
            window = end + self.connection.recv(65536, socket.MSG_PEEK)
            found = window.find(marker)
            stop = len(window) if found < 0 else found + len(marker)
            data = self.connection.recv(stop - len(end))
            if found >= 0:
                self._has_answered = True
                self._sent = b""
                return
            count += len(data)
            self._note_noise(data)
            if not data or self._has_terminal:
                raise ConnectError
            if count > _MAX_NOISE:
                raise ConnectError(f"the login prints without end ({count >> 20} MiB so far)")
            end = window[max(0, len(window) - len(marker) + 1) :]

    def _note_noise(self, data: bytes) -> None:
        noise = self._noise + data
        self._noise = noise[-_QUOTED_NOISE:]
        self._is_returned = self._is_returned or bootstrap.is_header_returned(noise)
        if not self._is_returned and not self._has_terminal:
            self._has_terminal = bootstrap.is_from_terminal(noise, self._marker) or bootstrap.has_piece_of(
                self._noise, self._sent
            )

    def _read_rest(self) -> None:
        """Read the noise that has come: ssh may have ended while the code of the server was being sent."""
        count = 0
        try:
            while not self._has_answered and count < _MAX_NOISE:
                data = self.connection.recv(65536, DONT_WAIT)
                if not data:
                    return
                count += len(data)
                self._note_noise(data)
        except OSError:
            pass

    def explain(self, error: BaseException) -> ConnectError:
        """End ssh; return the error for a failure, with everything that is known about it.

        Call this while `connection` is open: otherwise ssh would print a complaint about that.
        """
        # A broken pipe is no reason by itself: it only shows that ssh has ended.
        reason = str(error) if isinstance(error, EasyClusterError) else ""
        status = None
        if self._process is not None:
            is_ending = not reason and not self._has_terminal
            if is_ending or self._process.poll() is not None:
                # ssh is ending by itself: wait, because its exit status tells the cause.
                children.wait_for_end(self._process, children.GRACE)
            status = self._process.poll()
        if self._output is not None:
            self._output.discard()  # the error quotes it
        self.kill()
        self._read_rest()
        address = self._address
        return explain_failure(
            SshFailure(
                peername=address.peername,
                program=get_program_name(address),
                by_hand=format_manual_command(address),
                known_name=f"[{address.host}]:{address.port}" if address.port else address.host,
                rpython=address.rpython,
                printed=self._output.text if self._output is not None else "",
                answered=self._noise.decode("utf-8", "backslashreplace"),
                status=status,
                reason=reason,
                has_terminal=self._has_terminal,
            )
        )

    def find_end(self, worker: int) -> str:
        """Return how the remote process, or ssh, has ended, in their own words; or an empty text.

        Standard error has the words. They come ahead of the end of the connection, but another thread reads
        them.

        Args:
            worker: the id of the remote process.
        """
        if self._output is None or self._owner != os.getpid():
            return ""
        deadline = time.monotonic() + _WORDS_GRACE
        while True:
            is_last = self._output.wait_for_end(_POLL_INTERVAL) or time.monotonic() > deadline
            found = find_end(self._output.text, worker)
            if found or is_last:
                return found

    @property
    def looks(self) -> tuple[bytes, ...]:
        """When the guardian looks at the link, and how it says what it has seen, see `startup_bundle`."""
        interval = self._address.keep_alive.interval
        if self._output is None or interval is None:
            return ()
        return b"%d" % max(1, min(interval, _LONGEST_LOOK) * 500), self._output.reports.mark

    @property
    def latest_report(self) -> tuple[bytes, float] | None:
        """What the guardian has said last of a process that does not read, and when it came."""
        return self._output.reports.latest if self._output is not None else None

    @property
    def can_report(self) -> bool:
        """Whether the guardian's words arrive: ssh lives, and what the host prints is read."""
        return self._output is not None and self._output.is_read and self._owner == os.getpid()

    def finish(self, since: float | None = None) -> None:
        """End the connection and wait for the end of ssh, which follows from that; else terminate ssh.

        Args:
            since: when the close began, which has taken some of the time; None: now.
        """
        try:
            if self._process is not None and self._owner == os.getpid():
                self._drain(self._process, deadline_of_end(_FINISH_GRACE, since))
        finally:
            self.kill(_SIGNAL_GRACE, _LAST_OUTPUT_GRACE)
            self.connection.close()

    def _drain(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        """Wait for the end of ssh, and read its last output: ssh does not end before it has sent that."""
        try:
            self.connection.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0 and process.poll() is None:
                # Checked repeatedly, because another process may hold ssh's end of the socket.
                is_readable, _ = wait(self.connection.fileno(), -1, min(_POLL_INTERVAL, left))
                if is_readable and not self.connection.recv(65536):
                    break
        except OSError:  # one end of the socket is closed
            pass
        children.wait_for_end(process, max(0.0, deadline - time.monotonic()))

    def kill(self, grace: float = children.GRACE, output_grace: float = _WORDS_GRACE) -> None:
        """End ssh now; in a process that was forked from the one that started ssh, do nothing.

        Args:
            grace: how long ssh may take to end after each signal, in seconds.
            output_grace: how long to read its last output, in seconds.
        """
        if self._owner != os.getpid():
            return
        if self._launching is not None:
            self._launching.wait(children.GRACE)
        self._ssh_end.close()
        if self._process is not None:
            if self._process.poll() is None:
                children.terminate(self._process, grace)
            # Before anything that takes time: from now on another process may get its id.
            dead_man.discard(self._process.pid)
        if self._output is not None:
            self._output.finish(output_grace)
