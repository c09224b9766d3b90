"""What the hosts print: the standard error of each ssh, and through it that of the remote processes.

One thread per master process reads it for all connections and writes it to `sys.stderr` in whole
lines. What comes before a connection stands is held back for a moment: when ssh fails, its words
become part of the error instead.

Who owns what: the buffers of an output belong to the reading thread. `_Reader._lock` guards which
outputs there are and whether the thread runs; nothing is read or written while it is held.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time

#: Seconds for which the words of an ssh that is still connecting are held back. Then they are shown:
#: perhaps they ask the user to do something.
_HOLD = 2.0

#: How long a line may become before it is shown unfinished, in bytes.
_LONGEST_LINE = 1 << 16

#: A time that does not come.
_NEVER = float("inf")

#: How much of what came last is kept for errors, in bytes.
_KEPT = 4096

_CHUNK = 1 << 16


class RemoteOutput:
    """What one ssh prints to its standard error.

    Args:
        descriptor: where to read it. It is closed in the end.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        #: When what comes is shown and no longer held back, by the monotonic clock.
        self.show_at = time.monotonic() + _HOLD
        #: Whether nobody wants to know any more.
        self.leaving = False
        self._ended = threading.Event()
        self._unshown = b""
        self._kept = b""
        _reader.add(self)

    @property
    def text(self) -> str:
        """The last of what came."""
        return self._kept.decode("utf-8", "backslashreplace")

    def show(self) -> None:
        """Hold nothing back any more."""
        self.show_at = 0.0
        _reader.wake()

    def finish(self, seconds: float) -> None:
        """Wait until all has come, but not longer than ``seconds``, and read no more."""
        self._ended.wait(seconds)
        self.leaving = True
        _reader.wake()
        self._ended.wait(seconds)

    def discard(self) -> None:
        """Throw away what has not been shown: it stands in an error."""
        self.show_at = _NEVER

    def receive(self) -> bool:
        """Read once; return whether there may be more. For the reading thread, as what follows."""
        try:
            data = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._unshown += data
        self._kept = (self._kept + data)[-_KEPT:]
        return bool(data)

    def flush(self, everything: bool = False) -> None:
        """Show the whole lines that have come, unless they are held back or stand in an error."""
        if self.show_at == _NEVER:
            self._unshown = b""
        # More than that is no message of ssh's, and would only grow.
        if time.monotonic() < self.show_at and len(self._unshown) <= _LONGEST_LINE:
            return
        end = self._unshown.rfind(b"\n") + 1
        if everything or len(self._unshown) - end > _LONGEST_LINE:
            end = len(self._unshown)
        lines, self._unshown = self._unshown[:end], self._unshown[end:]
        if lines:
            _write(lines if lines.endswith(b"\n") else lines + b"\n")

    def end(self) -> None:
        """Show what remains and close the descriptor."""
        self.flush(everything=True)
        try:
            os.close(self.descriptor)
        except OSError:  # somebody has closed it, as programs do that become daemons
            pass
        self._ended.set()


def _write(data: bytes) -> None:
    stream = sys.stderr  # a notebook has its own; where there is no terminal it may be None
    text = data.decode("utf-8", "backslashreplace")
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        stream.flush()
    except Exception:  # there is none, it is closed, nobody reads it, or it is the user's and fails
        pass


class _Reader:
    """The thread that reads. It runs while there are outputs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outputs: list[RemoteOutput] = []
        self._running = False
        self._wakeup = (-1, -1)

    def add(self, output: RemoteOutput) -> None:
        """Read this one too."""
        with self._lock:
            if not self._running:
                self._running = True
                self._wakeup = os.pipe()
                os.set_blocking(self._wakeup[1], False)
                threading.Thread(target=self._run, name="easycluster-output", daemon=True).start()
            self._outputs.append(output)
        self.wake()

    def wake(self) -> None:
        """Let the thread look at its outputs."""
        with self._lock:
            if self._running:
                try:
                    os.write(self._wakeup[1], b"x")
                except BlockingIOError:  # it will wake as it is
                    pass

    def _run(self) -> None:
        outputs = self._listed()
        while outputs:
            ready = self._poll(outputs)
            for output in outputs:
                open_ = output.descriptor not in ready or output.receive()
                if open_ and not output.leaving:
                    output.flush()
                else:
                    output.end()
                    with self._lock:
                        self._outputs.remove(output)
            outputs = self._listed()

    def _listed(self) -> list[RemoteOutput]:
        """Return the outputs there are; when there are none, the thread counts as ended."""
        with self._lock:
            if not self._outputs:
                self._running = False
                for descriptor in self._wakeup:
                    os.close(descriptor)
            return list(self._outputs)

    def _poll(self, outputs: list[RemoteOutput]) -> set[int]:
        """Wait until there is something to read, or to be shown; return the descriptors that are ready."""
        poll = select.poll()
        poll.register(self._wakeup[0], select.POLLIN)
        for output in outputs:
            poll.register(output.descriptor, select.POLLIN)
        now = time.monotonic()
        held = [output.show_at - now for output in outputs if now < output.show_at < _NEVER]
        ready = {descriptor for descriptor, _ in poll.poll(min(held) * 1000 if held else None)}
        if self._wakeup[0] in ready:
            os.read(self._wakeup[0], _CHUNK)
        return ready


_reader = _Reader()


def _begin_anew() -> None:
    """Forget everything in a forked process: the thread is not here, and the outputs are the parent's."""
    global _reader
    _reader = _Reader()


os.register_at_fork(after_in_child=_begin_anew)
