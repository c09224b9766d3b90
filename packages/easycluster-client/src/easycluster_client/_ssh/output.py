"""The output of hosts: the standard error of each ssh, which includes that of the remote processes.

One thread per master process reads it for all connections and writes it to `sys.stderr`: whole lines, and
what ends with a carriage return, at once; a line that is not finished after a moment, so that the lines of
several hosts hardly ever mix. Output that comes before a connection is made is held back until nothing more
has come for a while: if ssh fails, its words become a part of the error instead.

Ownership: the buffers of an output belong to the thread that reads. `_Reader._lock` guards the list of
    outputs
and whether the thread runs; nothing is read or written while it is held.
"""

from __future__ import annotations

import codecs
import threading
import time

from easycluster_server._system import call_at_fork
from easycluster_server._system.masters import Wakeup, wait_for_any
from easycluster_server._system.programs import close_output, read_output

from .backlog import Backlog
from .reports import GuardianReports

#: Seconds for which an ssh that is still connecting has to be silent before its output is shown: it may ask
#: the user to do something. An ssh that fails ends sooner than that.
_HOLD_SECONDS = 2.0

#: Seconds after which a line is shown that is not finished.
_PARTIAL_SECONDS = 0.2

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
        descriptor: where to read the output, see `open_output`; it is closed at the end.

    Attributes:
        is_finishing: whether the output is to be read no more.
        reports: the lines of the guardian on the host.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.is_finishing = False
        self.reports = GuardianReports()
        self._is_held = True
        self._is_discarded = False
        self._ended = threading.Event()
        self._unshown = b""
        #: When the first and the last of the bytes came that have not been shown.
        self._since = self._latest = 0.0
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._kept = b""
        _reader.add(self)

    @property
    def text(self) -> str:
        """The latest output."""
        return self._kept.decode("utf-8", "backslashreplace")

    def show(self) -> None:
        """Stop holding output back."""
        self._is_held = False
        _reader.wake()

    def wait_for_end(self, seconds: float) -> bool:
        """Wait for the end of the output, for ``seconds`` at most; return whether it has come."""
        return self._ended.wait(seconds)

    def finish(self, seconds: float) -> None:
        """Wait for the end of the output, for ``seconds`` at most, and read no more."""
        self._ended.wait(seconds)
        self.is_finishing = True
        _reader.wake()
        self._ended.wait(seconds)

    @property
    def is_read(self) -> bool:
        """Whether what the host prints is read; else it waits for `sys.stderr`."""
        return not _reader.is_full

    def discard(self) -> None:
        """Throw away the output that has not been shown: it becomes a part of an error."""
        self._is_discarded = True

    def receive(self) -> bool:
        """Read once; return whether there may be more. Only the thread that reads calls this and the methods
        below."""
        try:
            data = read_output(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        printed = self.reports.take_out(data)
        if printed:
            self._latest = time.monotonic()
            if not self._unshown:
                self._since = self._latest
            self._unshown += printed
            self._kept = (self._kept + printed)[-_KEPT_BYTES:]
        return bool(data)

    @property
    def due(self) -> float:
        """When the output that has not been shown is to be shown, on the clock of `time.monotonic`."""
        if not self._unshown or self._is_discarded:
            return _NEVER
        return self._latest + _HOLD_SECONDS if self._is_held else self._since + _PARTIAL_SECONDS

    def flush(self, everything: bool = False) -> None:
        """Show the lines that have come, unless they are held back or discarded.

        Args:
            everything: whether this is the end of the output: then an unfinished line is shown at once, as a
                line.
        """
        if self._is_discarded:
            self._unshown = b""
        is_due = time.monotonic() >= self.due
        # More than this is not a message of ssh, and the buffer would only grow. At the end ssh has failed.
        if self._is_held and not is_due and len(self._unshown) <= _LONGEST_LINE:
            return
        end = max(self._unshown.rfind(b"\n"), self._unshown.rfind(b"\r")) + 1
        if everything or is_due or len(self._unshown) - end > _LONGEST_LINE:
            end = len(self._unshown)
        shown, self._unshown = self._unshown[:end], self._unshown[end:]
        if end:
            self._since = self._latest
        _screen.write(self, self._decoder.decode(shown, everything), everything)

    def end(self) -> None:
        """Show the rest of the output and close the descriptor."""
        self.flush(everything=True)
        try:
            close_output(self.descriptor)
        except OSError:  # the script has closed it: programs that become daemons close all descriptors
            pass
        self._ended.set()


class _Screen:
    """Standard error, as the outputs share it. Only the thread that reads uses it."""

    def __init__(self) -> None:
        #: The output whose line is not finished.
        self._unfinished: RemoteOutput | None = None

    def write(self, output: RemoteOutput, text: str, is_end: bool) -> None:
        """Write text, on a line of its own unless it goes on with the last one.

        Args:
            output: the output that it comes from.
            text: the text; it may be empty.
            is_end: whether nothing follows, so that the line is to be finished.
        """
        if text and self._unfinished not in (None, output):
            text = "\n" + text
        if is_end and not text.endswith("\n") and (text or self._unfinished is output):
            text += "\n"
        if text:
            _reader.write(text)
            self._unfinished = None if text.endswith("\n") else output


_screen = _Screen()


class _Reader:
    """The thread that reads; it runs while there are outputs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outputs: list[RemoteOutput] = []
        self._is_running = False
        self._wakeup: Wakeup | None = None
        self._backlog = Backlog()

    @property
    def is_full(self) -> bool:
        """Whether hosts have to wait until more of what they print is read."""
        return self._backlog.is_full

    def write(self, text: str) -> None:
        """Print what a host has printed; only the thread that reads calls this."""
        self._backlog.add(text)

    def add(self, output: RemoteOutput) -> None:
        """Read one more output."""
        with self._lock:
            self._outputs.append(output)
            if not self._is_running:
                try:
                    self._start()
                except BaseException:  # the system is out of descriptors or threads
                    self._outputs.remove(output)
                    raise
        self.wake()

    def _start(self) -> None:
        self._wakeup = Wakeup()
        try:
            threading.Thread(target=self._run, name="easycluster-output", daemon=True).start()
        except BaseException:
            self._close_wakeup()
            raise
        self._is_running = True

    def _close_wakeup(self) -> None:
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None

    def wake(self) -> None:
        """Wake the thread, which then looks at its outputs."""
        with self._lock:
            if self._wakeup is not None:
                self._wakeup.wake()

    def _run(self) -> None:
        outputs = self._list_outputs()
        while outputs or not self._backlog.is_empty:
            self._backlog.drain()
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
            if not self._outputs and self._backlog.is_empty:
                self._is_running = False
                self._close_wakeup()
            return list(self._outputs)

    def _poll(self, outputs: list[RemoteOutput]) -> set[int]:
        """Wait until there is output to read or to show; return the descriptors that can be read."""
        assert self._wakeup is not None
        watched = [self._wakeup.fileno()]
        now = time.monotonic()
        due = min((output.due for output in outputs), default=_NEVER)
        if not self._backlog.is_full:
            watched += [output.descriptor for output in outputs]
        full = self._backlog.descriptor
        if full >= 0:
            due = min(due, now + max(0.0, self._backlog.delay))
        ready = set(wait_for_any(watched, None if due == _NEVER else max(0.0, due - now), full))
        if self._wakeup.fileno() in ready:
            self._wakeup.drain()
        return ready


_reader = _Reader()


def _replace_reader() -> None:
    """Forget everything in a forked process: the thread does not exist there, and the outputs belong to the
    parent."""
    global _reader
    _reader = _Reader()


call_at_fork(_replace_reader)
