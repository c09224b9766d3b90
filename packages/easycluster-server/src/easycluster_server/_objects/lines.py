"""Lines of a file that a client requests ahead: many with each call."""

from __future__ import annotations

import os
import stat
from io import BytesIO, StringIO
from itertools import islice
from typing import TYPE_CHECKING, List, Optional
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: The modules whose files wait for nothing but a disk.
_MODULES = ("_io", "gzip", "bz2", "lzma")

#: With so many letters or bytes, lines are sent although the client has asked for more.
_MAX_SIZE = 1 << 18

#: The errors that came behind lines which were still to be sent.
_errors: WeakKeyDictionary[Value, Exception] = WeakKeyDictionary()


def next_lines(file: Value, count: int) -> Optional[List[Value]]:
    """Return the next lines of a file.

    Args:
        file: the file.
        count: the greatest number of lines.

    Returns:
        At least one line; None: reading the file may have to wait for somebody, so its lines are to be sent
        one by one.

    Raises:
        StopIteration: there are no more.
        Exception: reading failed, behind the lines that were returned last.
    """
    if _may_wait(file):
        return None
    if file in _errors:
        raise _errors.pop(file)
    lines: List[Value] = []
    size = done = 0
    try:
        while len(lines) < count and size < _MAX_SIZE:
            lines.extend(islice(file, min(done + 1, count - done)))
            if len(lines) == done:
                break
            size += sum(map(len, lines[done:]))
            done = len(lines)
    except Exception as error:
        if not lines:
            raise
        _errors[file] = error
    if not lines:
        raise StopIteration
    return lines


def _may_wait(file: Value) -> bool:
    if type(file) in (BytesIO, StringIO):
        return False
    if type(file).__module__ not in _MODULES:
        return True
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):  # it has none, or is closed
        return True
    # What the kernel makes, as in /proc, has no size; some of it waits.
    return not (stat.S_ISREG(status.st_mode) and status.st_size)
