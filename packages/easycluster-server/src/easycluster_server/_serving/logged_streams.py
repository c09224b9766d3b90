"""Files and iterators in the log of a session: one line for each, when the client is done with it."""

from __future__ import annotations

import weakref
from io import TextIOBase
from typing import TYPE_CHECKING, Any, Callable, Dict, List

from easycluster_protocol._objects.exports import find_exports
from easycluster_protocol._objects.proxy_classes import FileProxy

from .session_log import count

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

_FILE_METHODS = frozenset(FileProxy.proxy_methods or ())
_ITERATOR_METHODS = frozenset(("__next__", "send", "throw", "close"))
_LAST_METHODS = ("close", "detach")

_DATA = frozenset((str, bytes, bytearray))
_NAME_OF_CLASS = vars(type)["__name__"]


class _Stream:
    """A file or an iterator that the client uses.

    Attributes:
        name: the name of its class.
        unit: of what is read and written; "" for an iterator, of which items are counted.
        is_done: whether its line has been written.
    """

    def __init__(self, name: str, unit: str) -> None:
        self.name = name
        self.unit = unit
        self.calls = 0
        self.items = 0
        self.seconds = 0.0
        self.read = 0
        self.written = 0
        self.is_done = False

    def add(self, method: str, seconds: float, result: Value, argument_size: int) -> None:
        """Count a call of the client."""
        self.calls += 1
        self.seconds += seconds
        if method == "write":
            self.written += result if type(result) is int else argument_size
        elif method == "writelines":
            self.written += argument_size
        elif method in ("__next__", "send", "throw"):
            self.items += 1
        if method != "peek":
            self.read += measure(result)

    def describe(self) -> str:
        """Return the text of its line."""
        time = f"{self.seconds * 1000:.1f} ms"
        if not self.unit:
            return f"is done with {self.name}: {count(self.items, 'item')}, {time}"
        amount = f"{self.read:,} {self.unit} read, {self.written:,} written"
        return f"is done with {self.name}: {count(self.calls, 'call')}, {amount}, {time}"


class LoggedStreams:
    """The files and iterators that the client of a session uses, by the numbers of the objects.

    Args:
        write: writes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._streams: Dict[int, _Stream] = {}
        self._references: Dict[int, weakref.ref[Any]] = {}

    def find(self, oid: int, owner: Value, method: str) -> int:
        """Return the number of an object whose method is not worth a line, and otherwise 0."""
        if oid in self._streams:
            stream = self._streams[oid]
        else:
            exports = find_exports(owner)
            proxy_class = None if exports is None else exports.descriptor
            if isinstance(proxy_class, type) and issubclass(proxy_class, FileProxy):
                unit = "characters" if isinstance(owner, TextIOBase) else "bytes"
            elif any("__next__" in vars(base) for base in type(owner).__mro__):
                unit = ""
            else:
                return 0
            stream = self._streams[oid] = self._streams.setdefault(oid, _Stream(class_name(owner), unit))
            self._watch(oid, owner)
        return oid if method in (_FILE_METHODS if stream.unit else _ITERATOR_METHODS) else 0

    def _watch(self, oid: int, owner: Value) -> None:
        def forget(_: object) -> None:
            stream = self._streams.get(oid)
            if stream is not None:
                self._finish(stream)
            self._streams.pop(oid, None)
            self._references.pop(oid, None)

        try:
            self._references[oid] = weakref.ref(owner, forget)
        except TypeError:  # then its line comes when it ends, or with the session
            pass

    def note(
        self, oid: int, method: str, seconds: float, result: Value, argument_size: int, error: str
    ) -> bool:
        """Note a call; return whether it needs no line of its own.

        Args:
            oid: the result of `find`.
            method: the name of the method.
            seconds: how long it took.
            result: what it returned.
            argument_size: how much it was to write.
            error: the name of the class of the exception that it raised, or "".
        """
        stream = self._streams.get(oid)
        if stream is None:
            return False
        is_end = error == "StopIteration"
        if error and not is_end:
            return False
        if not is_end:
            stream.add(method, seconds, result, argument_size)
        if method in _LAST_METHODS or (is_end and not stream.unit):
            self._finish(stream)
        return True

    def end(self) -> None:
        """Write the lines of those that the client has not finished."""
        for stream in list(self._streams.values()):
            self._finish(stream)

    def _finish(self, stream: _Stream) -> None:
        if not stream.is_done:
            stream.is_done = True
            self._write(stream.describe())


def measure(value: Value) -> int:
    """Return the length of data, or of a list of data: in bytes, or characters; 0 for anything else."""
    items: List[Any] = [*value] if type(value) is list else [value]
    return sum(len(item) for item in items if type(item) in _DATA)


def class_name(value: Value) -> str:
    """Return the name of the class of a value, whatever its metaclass says."""
    name: str = _NAME_OF_CLASS.__get__(type(value))
    return name
