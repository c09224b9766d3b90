"""One of our processes arranges its own affairs: its output, its end, and its reports of exceptions."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper
from typing import Any

from . import buffer_c_lines, flush_c_output
from .output import standard_error


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
    buffer_c_lines()


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
    flush_c_output()


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
