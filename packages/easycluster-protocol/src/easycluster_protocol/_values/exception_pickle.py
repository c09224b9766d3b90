"""Pickles of exceptions that were raised: whole if this end can rebuild them, otherwise with text in place of
each value that cannot be sent."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple, cast

from easycluster_protocol._objects.proxies import context

from .exceptions import copy_bare, have_same_args, rebuild
from .late_results import KeptResult
from .object_pickle import NoObjects, loads_result, pickle_objects
from .serialize import PLAIN_TYPES, describe, find_dumps_by_value

if TYPE_CHECKING:
    from easycluster_protocol._objects.exports import ObjectTable
    from easycluster_protocol._objects.proxy_methods import Reduced
    from easycluster_protocol._types import Value

#: The class of groups of exceptions, from Python 3.11 on.
_GROUP_TYPES: Any = getattr(builtins, "BaseExceptionGroup", ())

#: Containers that are larger, and containers and exceptions that are deeper in others, are sent as text if
#: anything in them cannot be sent.
_MAX_LENGTH, _MAX_DEPTH = 256, 4

#: How much of an exception is pickled, from all of it to the least.
_WHOLE, _WITHOUT_CONSTRUCTOR, _WITH_TEXT, _TEXT_ONLY = range(4)


_CONTAINERS = (list, tuple, set, frozenset, dict)

_type_of: Callable[[object], Any] = type  # for type checkers, which make no class of `type(value)`


class ExceptionPickler:
    """Pickles the exceptions of one message.

    Args:
        protocol: the pickle protocol that both ends understand.
        objects: the server's objects.
        listed: takes the numbers of the objects in the pickles. It may get more than those: the client gives
            back the receipts of all that it does not find.
        reduce_member: returns how an exception within another one is pickled, so that it arrives as well as
            it can on its own.
    """

    def __init__(
        self,
        protocol: int,
        objects: ObjectTable,
        listed: Dict[int, None],
        reduce_member: Callable[[BaseException, ExceptionPickler], Reduced],
    ) -> None:
        self._protocol = protocol
        self._objects = objects
        self._listed = listed
        self.reduce_member = reduce_member
        #: The ids of the exceptions that are being pickled, each within the one before.
        self._under_way: List[int] = []
        #: Whether something of the exception that was pickled last had to become text.
        self.lost_something = False

    def pickle(self, error: BaseException) -> Tuple[Optional[bytes], Optional[str]]:
        """Return a pickle that has rebuilt ``error`` here, or None and the reason why there is none."""
        self._under_way.append(id(error))
        try:
            return self._pickle(error)
        finally:
            self._under_way.pop()

    def _pickle(self, error: BaseException) -> Tuple[Optional[bytes], Optional[str]]:
        reason, self.lost_something = None, False
        for detail in (_WHOLE, _WITHOUT_CONSTRUCTOR, _WITH_TEXT, _TEXT_ONLY):
            value = error if detail == _WHOLE else _Bare(error, detail, self)
            try:
                pickled = self._dumps(value)
                if type(error) is StopIteration and detail == _WHOLE:
                    return pickled, None  # its value is a result, which nobody rebuilds here
                copy = self._load(pickled)
                if type(copy) is type(error) and (detail > _WHOLE or have_same_args(copy, error)):
                    self.lost_something = detail >= _WITH_TEXT
                    return pickled, None
            except KeyboardInterrupt:
                raise
            except BaseException as failure:
                reason = reason or describe(failure)
        self.lost_something = True
        return None, reason or "its pickle gives something else"

    def keep(self, error: BaseException) -> Optional[int]:
        """Keep an exception that lost something, if it could go by value, and nothing for that is here yet.

        Returns:
            Its number among the server objects, by which the client can ask for it; or None.
        """
        if not self.lost_something or find_dumps_by_value() is not None or self._objects is NoObjects:
            return None
        try:
            kept = KeptResult(type(error).__name__, copy_bare(error), is_raised=True)
        except Exception:
            return None
        return self._objects.add(kept, self._listed)

    def _dumps(self, value: Value) -> bytes:
        try:
            return pickle_objects(value, self._protocol, objects=self._objects, listed=self._listed)
        except Exception:
            by_value = find_dumps_by_value()
            if by_value is None:
                raise
            return by_value(value, self._protocol, objects=self._objects, listed=self._listed)

    def _load(self, pickled: bytes) -> Value:
        with _RebuildingHere(self._objects):
            return loads_result(pickled, ())

    def make_safe(self, value: Any, depth: int = _MAX_DEPTH) -> Value:
        """Return a value that can be sent: this one, a container with what of it can be sent, or its text."""
        cls: Any = _type_of(value)
        if cls in PLAIN_TYPES or self._can_travel(value):
            return value
        if isinstance(value, BaseException):
            is_too_deep = id(value) in self._under_way or len(self._under_way) > _MAX_DEPTH
            return make_text(value) if is_too_deep else _Member(value, self)
        if not depth or cls not in _CONTAINERS or len(value) > _MAX_LENGTH:
            return make_text(value)
        if cls is dict:
            return {self.make_safe(key, depth - 1): self.make_safe(value[key], depth - 1) for key in value}
        return _make(cls, [self.make_safe(each, depth - 1) for each in value])

    def _can_travel(self, value: Value) -> bool:
        try:
            self._load(self._dumps(value))
        except KeyboardInterrupt:
            raise
        except BaseException:
            return False
        return True


class _RebuildingHere:
    """Within it, a pickle for the client can be unpickled on the server: objects themselves take the place of
    their proxies, see `proxies.context`."""

    def __init__(self, objects: ObjectTable) -> None:
        self._objects = objects
        self._before: Value = None

    def __enter__(self) -> None:
        self._before = getattr(context, "answering", None)
        context.answering = self

    def __exit__(self, *error: object) -> None:
        context.answering = self._before

    def find_proxy(self, oid: int, descriptor: object, number: object) -> Value:
        return self._objects.get(oid)


def _make(cls: Any, items: List[Value]) -> Value:
    return cls(items)


def make_text(value: Value) -> Value:
    """Return a plain value as it is, and the text of any other."""
    if type(value) in PLAIN_TYPES:
        return value
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


class _Bare:
    """Pickles an exception without its constructor: by class, ``args`` and attributes."""

    def __init__(self, error: BaseException, detail: int, pickler: ExceptionPickler) -> None:
        self._error = error
        self._detail = detail
        self._pickler = pickler

    def __reduce__(self) -> Reduced:
        args, attributes = self._error.args, dict(self._error.__dict__)
        if self._detail >= _WITH_TEXT:
            convert = self._pickler.make_safe if self._detail == _WITH_TEXT else make_text
            if isinstance(self._error, _GROUP_TYPES):
                members: Any = cast("Any", self._error).exceptions
                args = args[0], [_Member(each, self._pickler) for each in members]
            else:
                args = tuple(map(convert, args))
            notes = attributes.pop("__notes__", None)
            attributes = {name: convert(value) for name, value in attributes.items()}
            if isinstance(notes, (list, tuple)):
                attributes["__notes__"] = list(map(make_text, notes))  # pyright: ignore[reportUnknownArgumentType]
        return rebuild, (type(self._error), args, attributes)


class _Member:
    """Pickles an exception so that the receiver gets it, or a stand-in if it cannot be rebuilt."""

    def __init__(self, error: BaseException, pickler: ExceptionPickler) -> None:
        self._error = error
        self._pickler = pickler

    def __reduce__(self) -> Reduced:
        return self._pickler.reduce_member(self._error, self._pickler)
