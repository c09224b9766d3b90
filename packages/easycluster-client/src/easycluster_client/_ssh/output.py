"""The output of hosts: the standard error of each ssh, which includes that of the remote processes.

One thread per master process reads it for all connections and writes it to `sys.stderr` in whole lines.
Output that comes before a connection is made is held back for a moment: if ssh fails, its words become a part
of the error instead.

Ownership: the buffers of an output belong to the thread that reads. `_Reader._lock` guards the list of
    outputs
and whether the thread runs; nothing is read or written while it is held.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time

#: Seconds for which the output of an ssh that is still connecting is held back. Then it is shown, because it
#: may ask the user to do something.
_HOLD_SECONDS = 2.0

#: The length in bytes from which on a line is shown unfinished.
_LONGEST_LINE = 1 << 16

#: A time that does not come.
_NEVER = float("inf")

#: The number of bytes, the latest ones, that are kept for errors.
_KEPT_BYTES = 4096

_CHUNK = 1 << 16


class RemoteOutput:
    """The standard error of one ssh.

    Args:
        descriptor: where to read the output; it is closed at the end.

    Attributes:
        show_at: from when on output is shown and no longer held back, on the clock of `time.monotonic`.
        is_finishing: whether the output is to be read no more.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.show_at = time.monotonic() + _HOLD_SECONDS
        self.is_finishing = False
        self._ended = threading.Event()
        self._unshown = b""
        self._kept = b""
        _reader.add(self)

    @property
    def text(self) -> str:
        """The latest output."""
        return self._kept.decode("utf-8", "backslashreplace")

    def show(self) -> None:
        """Stop holding output back."""
        self.show_at = 0.0
        _reader.wake()

    def finish(self, seconds: float) -> None:
        """Wait for the end of the output, for ``seconds`` at most, and read no more."""
        self._ended.wait(seconds)
        self.is_finishing = True
        _reader.wake()
        self._ended.wait(seconds)

    def discard(self) -> None:
        """Throw away the output that has not been shown: it becomes a part of an error."""
        self.show_at = _NEVER

    def receive(self) -> bool:
        """Read once; return whether there may be more. Only the thread that reads calls this and the methods
        below."""
        try:
            data = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._unshown += data
        self._kept = (self._kept + data)[-_KEPT_BYTES:]
        return bool(data)

    def flush(self, everything: bool = False) -> None:
        """Show the whole lines that have come, unless they are held back or discarded.

        Args:
            everything: whether to show an unfinished line, too.
        """
        if self.show_at == _NEVER:
            self._unshown = b""
        # More than this is not a message of ssh, and the buffer would only grow.
        if time.monotonic() < self.show_at and len(self._unshown) <= _LONGEST_LINE:
            return
        end = self._unshown.rfind(b"\n") + 1
        if everything or len(self._unshown) - end > _LONGEST_LINE:
            end = len(self._unshown)
        lines, self._unshown = self._unshown[:end], self._unshown[end:]
        if lines:
            _write(lines if lines.endswith(b"\n") else lines + b"\n")

    def end(self) -> None:
        """Show the rest of the output and close the descriptor."""
        self.flush(everything=True)
        try:
            os.close(self.descriptor)
        except OSError:  # the script has closed it: programs that become daemons close all descriptors
            pass
        self._ended.set()


def _write(data: bytes) -> None:
    stream = sys.stderr  # a notebook replaces it; without a terminal it may be None
    text = data.decode("utf-8", "backslashreplace")
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        stream.flush()
    except Exception:  # it is None, it is closed, its reader has ended, or it is the user's and fails
        pass


class _Reader:
    """The thread that reads; it runs while there are outputs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outputs: list[RemoteOutput] = []
        self._is_running = False
        self._wakeup = (-1, -1)

    def add(self, output: RemoteOutput) -> None:
        """Read one more output."""
        with self._lock:
            if not self._is_running:
                self._is_running = True
                self._wakeup = os.pipe()
                os.set_blocking(self._wakeup[1], False)
                threading.Thread(target=self._run, name="easycluster-output", daemon=True).start()
            self._outputs.append(output)
        self.wake()

    def wake(self) -> None:
        """Wake the thread, which then looks at its outputs."""
        with self._lock:
            if self._is_running:
                try:
                    os.write(self._wakeup[1], b"x")
                except BlockingIOError:  # the pipe is full, so the thread will wake anyway
                    pass

    def _run(self) -> None:
        outputs = self._list_outputs()
        while outputs:
            ready = self._poll(outputs)
            for output in outputs:
                is_open = output.descriptor not in ready or output.receive()
                if is_open and not output.is_finishing:
                    output.flush()
                else:
                    output.end()
                    with self._lock:
                        self._outputs.remove(output)
            outputs = self._list_outputs()

    def _list_outputs(self) -> list[RemoteOutput]:
        """Return the outputs; if there are none, the thread is about to end and no longer counts as
        running."""
        with self._lock:
            if not self._outputs:
                self._is_running = False
                for descriptor in self._wakeup:
                    os.close(descriptor)
            return list(self._outputs)

    def _poll(self, outputs: list[RemoteOutput]) -> set[int]:
        """Wait until there is output to read or to show; return the descriptors that can be read."""
        poll = select.poll()
        poll.register(self._wakeup[0], select.POLLIN)
        for output in outputs:
            poll.register(output.descriptor, select.POLLIN)
        now = time.monotonic()
        delays = [output.show_at - now for output in outputs if now < output.show_at < _NEVER]
        ready = {descriptor for descriptor, _ in poll.poll(min(delays) * 1000 if delays else None)}
        if self._wakeup[0] in ready:
            os.read(self._wakeup[0], _CHUNK)
        return ready


_reader = _Reader()


def _replace_reader() -> None:
    """Forget everything in a forked process: the thread does not exist there, and the outputs belong to the
    parent."""
    global _reader
    _reader = _Reader()


os.register_at_fork(after_in_child=_replace_reader)
