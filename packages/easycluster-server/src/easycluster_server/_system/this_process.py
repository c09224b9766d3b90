"""One of our processes arranges its own affairs: its output, its end, and its reports of exceptions."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from . import libc
from .output import standard_error

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def buffer_lines() -> None:
    """Let printed lines leave this process one by one, also lines that C code prints.

    Standard output is no terminal, so they would otherwise be held back until there are many.
    """
    sys.stdout.flush()
    if sys.version_info >= (3, 7):
        stdout: Any = sys.stdout  # for type checkers, any text file
        stdout.reconfigure(line_buffering=True)  # novm
    else:
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        if codecs.lookup(encoding).name == "ascii" and "PYTHONIOENCODING" not in os.environ:
            encoding = "utf-8"  # as newer Pythons do in the C locale
        sys.stdout = TextIOWrapper(sys.stdout.detach(), encoding, errors, line_buffering=True)
    libc.call_with_variable("setlinebuf", "stdout")


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, for which the kernel has room."""
    while data:
        data = data[os.write(descriptor, data) :]


def flush_streams() -> None:
    """Flush what Python code printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def flush_output() -> None:
    """Flush everything that was printed, also by C code."""
    flush_streams()
    libc.call("fflush", None)


def move_up(descriptor: int) -> int:
    """Give a descriptor a high number; return that number.

    Remote code may close descriptors that are not its own. The files that it opens then get the lowest free
    numbers, and not this one, to which we may still write.
    """
    import fcntl  # most processes have no use for it

    try:
        moved: int = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, min(os.sysconf("SC_OPEN_MAX"), 1024) - 16)
    except (OSError, ValueError):  # fewer descriptors are allowed, or none is left
        return descriptor
    os.close(descriptor)
    return moved


def occupy_standard_descriptors() -> None:
    """Open the null device in place of standard input, output or error, if one of them is closed.

    Otherwise the next socket would take its place, and printed text would go over that connection.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def become_subreaper() -> bool:
    """Let orphaned descendants become children of this process; return False where that is impossible."""
    return libc.call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, if the kernel can."""
    if libc.call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0 and os.getppid() != parent:
        os._exit(1)  # the parent ended before we asked


def report(error: BaseException) -> None:
    """Print an exception and its stack trace to standard error, as Python does at its end."""
    details = type(error), error, error.__traceback__
    try:
        if sys.excepthook is not sys.__excepthook__:
            sys.excepthook(*details)
            return
        from traceback import format_exception

        text = "".join(format_exception(*details))
    except BaseException:  # the user's hook fails; describing fails; there are no more descriptors to import
        text = f"easycluster: {type(error).__name__}\n"
    standard_error.print(text)


def report_briefly(error: BaseException) -> None:
    """Print one line to standard error, about an exception that came between two calls."""
    from easycluster_protocol._values.serialize import describe  # over ssh it comes with the first call

    place = ""
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        place = f" ({code.co_filename}, line {traceback.tb_lineno}, in {code.co_name})"
        traceback = traceback.tb_next
    standard_error.say(f"raised between two calls: {describe(error)}{place}")
