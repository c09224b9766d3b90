"""Printing on a descriptor without ever waiting for the reader.

A log that nobody reads, a full disk or a closed standard error costs lines, and never a call: what cannot be
written at once is dropped, and counted.
"""

from __future__ import annotations

import os
import stat
from _thread import get_ident

# Taken now: remote code may put something else in the places of these.
from os import close, fstat, write
from typing import Callable, Dict, List, Optional, Tuple

from . import AGAIN_FLAGS, AGAIN_FOLDER, PIECE_BYTES, has_room

_open = os.open


class Output:
    """A descriptor on which our processes print whole lines. Any number of threads may use it.

    Standard output and error are shared with other programs, so they cannot be set to non-blocking mode. A
    pipe or a terminal is opened once more, in that mode, for the time of one text. Where that cannot be done,
    a look whether there is room comes before each piece: a pipe with room takes `PIPE_BUF` bytes at once.

    Args:
        descriptor: where to print.

    Attributes:
        descriptor: the same.
        encoding: of the text; characters that it lacks are written as escape sequences.
        patience: milliseconds to wait for room.
        prefix: called for the text ahead of each line of `say`.
    """

    encoding = "utf-8"
    patience = 0

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.prefix: Callable[[], str] = str
        self._file: Optional[Tuple[int, int]] = None
        self._is_in_line = False
        #: Thread → how many lines it has lost. A thread changes its own number only.
        self._lost: Dict[int, int] = {}
        self._told = 0

    @property
    def missing(self) -> int:
        """How many lines were lost since the latest that was printed."""
        return sum(list(self._lost.values())) - self._told

    def pin(self) -> None:
        """From now on print to this file only: a file that remote code opens in its place is the user's."""
        try:
            status = os.fstat(self.descriptor)
            self._file = status.st_dev, status.st_ino
        except OSError:
            self._file = (-1, -1)

    def say(self, message: object) -> bool:
        """Print a message of our own; see `print`."""
        return self.print(f"{self.prefix()}easycluster: {message}\n")

    def print(self, text: str) -> bool:
        """Print a text that ends with a line feed, after the number of lines that were lost before it.

        Returns:
            Whether all of it was written.
        """
        lines = text.count("\n")
        missing = self.missing
        told = self._told + missing
        if missing:
            lost = "line" if missing == 1 else "lines"
            text = f"{self.prefix()}easycluster: {missing} {lost} could not be printed here\n{text}"
        if self._is_in_line:
            text = f"\n{text}"
        done = False
        try:
            done = self._write(text.encode(self.encoding, "backslashreplace"))
        finally:
            if done:
                self._told = told
            else:
                thread = get_ident()
                self._lost[thread] = self._lost.get(thread, 0) + lines
        return done

    def _write(self, data: bytes) -> bool:
        descriptor = self.descriptor
        opened: List[int] = []
        try:
            status = fstat(descriptor)
            if self._file not in (None, (status.st_dev, status.st_ino)):
                return False
            if AGAIN_FOLDER and not stat.S_ISREG(status.st_mode):  # which would have a position of its own
                try:
                    opened.extend(map(_open, (f"{AGAIN_FOLDER}{descriptor}",), (AGAIN_FLAGS,)))
                    descriptor = opened[0]
                except OSError as error:  # a socket, a terminal of another user, a system without /proc
                    _raise_if_foreign(error)
            while data:
                if not has_room(descriptor, self.patience):
                    return False
                data = data[write(descriptor, data[:PIECE_BYTES]) :]
                self._is_in_line = bool(data)
            return True
        except OSError as error:
            _raise_if_foreign(error)
            return False
        finally:
            for each in opened:
                close(each)


def _raise_if_foreign(error: OSError) -> None:
    """Raise an error again that a signal handler has raised: it is the user's."""
    traceback = error.__traceback__
    while traceback is not None:
        found = traceback.tb_frame.f_globals
        if found is not globals() and found is not has_room.__globals__:
            raise error
        traceback = traceback.tb_next


#: The standard error of this process.
standard_error = Output(2)
