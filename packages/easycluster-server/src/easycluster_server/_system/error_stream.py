"""Printing to `sys.stderr` and `sys.stdout` of masters, of the command, and of scripts that run a server."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any, MutableMapping
from weakref import WeakKeyDictionary

from .output import Output, has_room

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
        # Streams of other classes, as in notebooks, may name a descriptor to which they do not write.
        if type(stream) is TextIOWrapper and not stream.closed:
            return _print(stream, text, patience)
        _write(stream, text)
    except Exception:  # it is None, it is closed, or it is the user's and fails
        return False
    return True


def _print(stream: TextIOWrapper, text: str, patience: int) -> bool:
    output = _outputs.get(stream)
    if output is None or output.descriptor != stream.fileno():
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
