"""Printing to `sys.stderr` and `sys.stdout` of masters, of the command, and of scripts that run a server."""

from __future__ import annotations

import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, MutableMapping
from weakref import WeakKeyDictionary

from . import has_room
from .output import Output

#: Milliseconds for which a call waits for a slow reader of standard error; one that reads nothing for so long
#: has stopped, and is not waited for again until it reads.
PATIENCE = 1000

#: Stream → the output that counts what it lost.
_outputs: MutableMapping[TextIOWrapper, Output] = WeakKeyDictionary()


class _StreamOutput(Output):
    """The descriptor of a stream, and the stream's encoding."""

    def __init__(self, stream: TextIOWrapper) -> None:
        super().__init__(stream.fileno())
        self.encoding = stream.encoding


def print_error(text: str, patience: int = PATIENCE) -> bool:
    """Print whole lines to `sys.stderr`, see `print_lines`."""
    return print_lines(getattr(sys, "stderr", None), text, patience)


def print_lines(stream: Any, text: str, patience: int = PATIENCE) -> bool:
    """Print whole lines without raising anything, and without waiting for ever.

    Args:
        stream: a text stream, whatever it is; there is none under pythonw.
        text: ends with a line feed.
        patience: milliseconds to wait for a reader that is slow.

    Returns:
        Whether it was printed. Lines that were not are counted, and their number is told ahead of the next.
    """
    try:
        descriptor = find_descriptor(stream)
        if descriptor >= 0:
            return _print(stream, descriptor, text, patience)
        _write(stream, text)
    except Exception:  # it is None, it is closed, or it is the user's and fails
        return False
    return True


def find_full_descriptor(stream: Any) -> int:
    """Return the descriptor of a stream if its reader has to read before anything can be printed, or -1."""
    descriptor = find_descriptor(stream)
    return -1 if descriptor < 0 or has_room(descriptor, 0) else descriptor


def find_descriptor(stream: Any) -> int:
    """Return the descriptor of a text stream that does nothing but encode, or -1.

    Others, as in notebooks, may name a descriptor to which they do not write, or write something else.
    """
    try:
        if type(stream) is TextIOWrapper:
            buffer: Any = stream.buffer
            if type(buffer) is FileIO or (type(buffer) is BufferedWriter and type(buffer.raw) is FileIO):
                return stream.fileno()
    except (OSError, ValueError):  # it is closed, or detached
        pass
    return -1


def _print(stream: TextIOWrapper, descriptor: int, text: str, patience: int) -> bool:
    output = _outputs.get(stream)
    if output is None or output.descriptor != descriptor:
        output = _outputs[stream] = _StreamOutput(stream)
    output.patience = 0 if output.missing else patience
    if has_room(output.descriptor, output.patience):
        stream.flush()
    else:
        output.patience = 0
    return output.print(text)


def _write(stream: Any, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
    stream.flush()
