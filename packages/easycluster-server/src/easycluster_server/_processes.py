"""Processes as the kernel shows them: who descends from whom, and how to end them."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Set

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # all that is needed of it: the other half takes 3 ms to import

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Process:
    """One line of the process table.

    Attributes:
        started: in clock ticks since boot; with `pid` it names a process for good.
        state: the kernel's letter: "R" for running, "Z" for a zombie and so on.
    """

    __slots__ = ("pid", "parent", "session", "started", "state")

    def __init__(self, pid: int, parent: int, session: int, started: int, state: str) -> None:
        self.pid = pid
        self.parent = parent
        self.session = session
        self.started = started
        self.state = state


def _prctl(option: int, argument: int) -> bool:
    libc = _libc()
    try:
        return bool(libc.prctl(option, argument, 0, 0, 0) == 0)
    except AttributeError:
        return False


def _libc() -> Any:
    """Return the C library of this process, or None."""
    try:
        import ctypes  # not in every Python of an embedded system

        return ctypes.CDLL(None)
    except (ImportError, OSError):
        return None


def buffer_lines() -> None:
    """Let what is printed leave this process line by line, also what C code prints: standard output
    is no terminal, so it would be held back until much has come together."""
    sys.stdout.flush()
    if sys.version_info >= (3, 7):
        stdout: Any = sys.stdout
        stdout.reconfigure(line_buffering=True)  # novm
    else:
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        if codecs.lookup(encoding).name == "ascii" and "PYTHONIOENCODING" not in os.environ:
            encoding = "utf-8"  # as newer Pythons do in the C locale
        sys.stdout = TextIOWrapper(sys.stdout.detach(), encoding, errors, line_buffering=True)
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        libc.setlinebuf(ctypes.c_void_p.in_dll(libc, "stdout"))
    except (ImportError, OSError, AttributeError, ValueError):  # another C library than Linux has
        pass


def write(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, which the kernel has room for."""
    while data:
        data = data[os.write(descriptor, data) :]


def flush_output() -> None:
    """Let everything leave that was printed, also by C code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    libc = _libc()
    if libc is not None:
        libc.fflush(None)


def occupy_standard_descriptors() -> None:
    """Open what is closed of standard input, output and error, to nowhere.

    Otherwise the next socket would take the place, and what somebody prints would go over it.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def become_subreaper() -> bool:
    """Let orphaned descendants become children of this process; False where that cannot be had."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, where it can."""
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent:
        os._exit(1)  # the parent ended before we asked


def has_own_proc() -> bool:
    """Whether there is a /proc that shows this process: in a namespace of processes without a /proc of its
    own the ids in there are those of others."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def process_table() -> Dict[int, Process]:
    """Return all processes by id; empty where there is no /proc of ours."""
    table: Dict[int, Process] = {}
    if has_own_proc():
        for name in os.listdir("/proc"):
            process = _read(int(name)) if name.isdigit() else None
            if process is not None:
                table[process.pid] = process
    return table


def read_process(pid: int) -> Process | None:
    """Return what the kernel says of a process, or None when it is gone or there is no /proc of ours."""
    return _read(pid) if has_own_proc() else None


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0].decode())


def descendants(root: int, table: Dict[int, Process]) -> List[Process]:
    """Return all living descendants of ``root``, parents before children."""
    children: Dict[int, List[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found: List[Process] = []
    pending = [root]
    while pending:
        for child in children.get(pending.pop(), []):
            if child.state != "Z":
                found.append(child)
            pending.append(child.pid)
    return found


def without_subtrees(root: int, spared: Set[int], table: Dict[int, Process]) -> List[Process]:
    """Return the descendants of ``root`` but for those in ``spared`` and their descendants."""
    kept = set(spared)
    for pid in spared:
        kept.update(process.pid for process in descendants(pid, table))
    return [process for process in descendants(root, table) if process.pid not in kept]


def send_signal(processes: Iterable[Process], number: int) -> None:
    """Send a signal to each of the processes that still exists."""
    for process in processes:
        try:
            os.kill(process.pid, number)
        except OSError:
            pass


def report(error: BaseException) -> None:
    """Print an exception and its stack trace to standard error, as Python does at its end."""
    sys.excepthook(type(error), error, error.__traceback__)


def report_briefly(error: BaseException) -> None:
    """Print one line about an exception that came between two calls to standard error."""
    from easycluster_protocol._serialize import describe  # comes with the first call, over ssh

    place = ""
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        place = f" ({code.co_filename}, line {traceback.tb_lineno}, in {code.co_name})"
        traceback = traceback.tb_next
    sys.stderr.write(f"easycluster: raised between two calls: {describe(error)}{place}\n")
    sys.stderr.flush()
