"""Exceptions to bytes and back, in such a way that no exception can harm more than its own call.

The text of an exception always travels: type, message, stack trace. The exception itself travels
with it if this end could rebuild it from its pickle, so that a class which cannot be pickled
fails here, where its text is known, and not at the receiver. A receiver that still cannot rebuild it
(it does not have the class) makes a class of the same name, derived from the original's nearest
built-in base.

The body of a FAILURE message is a pickle of built-in types only: a list with one dictionary for
the exception and one for each link of its chain of causes.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple, Type, cast

from easycluster_protocol._pickling import dumps, loads
from easycluster_protocol.errors import RemoteTraceback, UnknownRemoteError

from .object_pickle import dumps_copy, loads_result
from .serialize import PLAIN_TYPES, describe, find_dumps_by_value, get_text

if TYPE_CHECKING:
    from easycluster_protocol._objects.proxy_methods import Reduced
    from easycluster_protocol._types import Args, Buffer, Value

    #: An exception as built-in types. ``type``, ``module``, ``message``; ``bases``: the names of its built-in
    #: bases; ``pickled``: its pickle, or None with the ``reason``; ``attributes``: those of plain types. In a
    #: chain also ``relation``: how the next link is attached, ``suppress``: whether that is not shown, and in
    #: the first link ``text``: the stack trace of the whole chain.
    Link = Dict[str, Any]

#: Longer chains are cut; their text is complete.
_MAX_CHAIN_LINKS = 32

#: A longer attribute, as the output of a program, is left out of a stand-in.
_MAX_ATTRIBUTE_LENGTH = 4096

#: The class of groups of exceptions, from Python 3.11 on.
_GROUP_TYPES: Any = getattr(builtins, "BaseExceptionGroup", ())

#: Also sets attributes of exceptions that forbid it, as frozen dataclasses do.
_set_attribute = BaseException.__setattr__


def pack_exception(error: BaseException, protocol: int, ready: Optional[bytes] = None) -> bytes:
    """Return the body of the FAILURE message for ``error``.

    Args:
        error: the exception; its traceback is cut down to the user's own frames.
        protocol: the pickle protocol that both ends understand.
        ready: a pickle of it, if there is one that is known to be good.
    """
    chain: List[Link] = []
    link: Optional[BaseException] = error
    seen: Set[int] = set()
    while link is not None and id(link) not in seen and len(chain) < _MAX_CHAIN_LINKS:
        seen.add(id(link))
        following, relation = _find_next(link)
        described = _describe_one(link, protocol, ready if link is error else None)
        chain.append({**described, "relation": relation, "suppress": link.__suppress_context__})
        link = following
    chain[0]["text"] = _format(error)
    return dumps(chain, protocol)


def _describe_one(error: BaseException, protocol: int, ready: Optional[bytes] = None) -> Link:
    pickled, reason = (ready, None) if ready else _pickle_exception(error, protocol)
    return {
        "type": str(type(error).__name__),
        "module": str(type(error).__module__),
        "message": get_text(error),
        "bases": [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"],
        "pickled": pickled,
        "reason": reason,
        "attributes": _copy_plain_attributes(error),
    }


def _copy_plain_attributes(error: BaseException) -> Dict[str, Value]:
    """Return the attributes that a stand-in can have, too."""
    try:
        attributes = dict(vars(error))
        if isinstance(error, OSError):
            attributes.update(errno=error.errno, strerror=error.strerror, filename=error.filename)
    except Exception:
        return {}
    return {
        name: value
        for name, value in attributes.items()
        if type(value) in PLAIN_TYPES and not _is_long(value)
    }


def _is_long(value: Value) -> bool:
    return isinstance(value, (str, bytes)) and len(value) > _MAX_ATTRIBUTE_LENGTH


def _find_next(error: BaseException) -> Tuple[Optional[BaseException], str]:
    """Return the exception that comes next in the chain, and how it is attached."""
    if error.__cause__ is not None:
        return error.__cause__, "cause"
    return error.__context__, "context"


def _format(error: BaseException) -> List[str]:
    try:
        return traceback.format_exception(type(error), error, error.__traceback__)
    except Exception:  # an exception whose own methods fail
        return [describe(error) + "\n"]


def _warm_up_traceback() -> None:
    """Let `traceback` import the modules that it needs only when it formats an exception, such as `ast`."""
    no_values: Dict[str, int] = {}
    try:
        no_values["ä"]  # for a line that is not ASCII it also needs the widths of characters
    except KeyError as error:
        _format(error)


if "easycluster_server._serving.session" in sys.modules:
    # This is a server, which imports this module in a thread where no signal handlers run. And on a host that
    # was sent our code, only imports by a module of ours that is itself being imported find Python's own
    # modules rather than files of the user's in the current folder.
    _warm_up_traceback()


def _pickle_exception(error: BaseException, protocol: int) -> Tuple[Optional[bytes], Optional[str]]:
    """Return a pickle that has rebuilt ``error`` here, or None and the reason why there is none."""
    reason = None
    for value in (error, _Bare(error, False, protocol), _Bare(error, True, protocol)):
        try:
            pickled = _dumps(value, protocol)
            if _is_same(loads(pickled), error, value):
                return pickled, None
        except KeyboardInterrupt:
            raise
        except BaseException as failure:
            reason = reason or describe(failure)
    return None, reason or "its pickle gives something else"


def _dumps(value: Value, protocol: int) -> bytes:
    try:
        return dumps_copy(value, protocol)
    except Exception:
        by_value = find_dumps_by_value()
        if by_value is None:
            raise
        return by_value(value, protocol)


def _is_same(copy: Value, error: BaseException, value: Value) -> bool:
    """Whether unpickling has rebuilt ``error``; a constructor may take its own text for its argument."""
    if type(copy) is not type(error):
        return False
    return value is not error or repr(copy.args) == repr(error.args)


def _make_safe(value: Value) -> Value:
    """Return a plain value as it is, and the repr of any other."""
    if type(value) in PLAIN_TYPES:
        return value
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


class _Bare:
    """Pickles an exception without its constructor: by class, ``args`` and attributes.

    Args:
        error: the exception.
        as_text: whether only the repr of values that are not plain is sent. The exceptions of a group are
            each sent as well as possible.
        protocol: the pickle protocol, for the exceptions of a group.
    """

    def __init__(self, error: BaseException, as_text: bool, protocol: int) -> None:
        self._error = error
        self._as_text = as_text
        self._protocol = protocol

    def __reduce__(self) -> Reduced:
        args, attributes = self._error.args, dict(self._error.__dict__)
        if self._as_text:
            if isinstance(self._error, _GROUP_TYPES):
                members: Any = cast("Any", self._error).exceptions
                args = args[0], [_Member(each, self._protocol) for each in members]
            else:
                args = tuple(map(_make_safe, args))
            notes = attributes.pop("__notes__", None)
            attributes = {name: _make_safe(value) for name, value in attributes.items()}
            if isinstance(notes, (list, tuple)):
                attributes["__notes__"] = list(map(_make_safe, notes))  # pyright: ignore[reportUnknownArgumentType]
        return _rebuild, (type(self._error), args, attributes)


class _Member:
    """Pickles an exception of a group so that the receiver gets it, or a stand-in if it cannot be rebuilt."""

    def __init__(self, error: BaseException, protocol: int) -> None:
        self._error = error
        self._protocol = protocol

    def __reduce__(self) -> Reduced:
        return _rebuild_link, (_describe_one(self._error, self._protocol),)


def _rebuild(cls: Type[BaseException], args: Args, attributes: Dict[str, Value]) -> BaseException:
    error = cls.__new__(cls, *args)
    _set_attribute(error, "args", args)
    _set_value(error)
    error.__dict__.update(attributes)
    return error


def _set_value(error: BaseException) -> None:
    """Finish an exception that was made without its constructor: the interpreter crashes when it looks for
    the value of a StopIteration that has none."""
    if isinstance(error, StopIteration):
        StopIteration.__init__(error, *error.args)


def unpack_exception(body: Buffer, host: str) -> Tuple[BaseException, List[str]]:
    """Rebuild the exception in the body of a FAILURE message.

    Args:
        body: the body.
        host: the name of the server, for the cause that is added at the end of the chain.

    Returns:
        The exception with its chain of causes, in which a `RemoteTraceback` follows the last link that is
        shown; and the lines of the remote stack trace.
    """
    chain = loads(body)
    text: List[str] = chain[0]["text"]
    error = last = _rebuild_link(chain[0])
    shown: Optional[BaseException] = None
    for before, link in zip(chain, chain[1:]):
        following = _rebuild_link(link)
        if before["relation"] == "cause":
            _set_attribute(last, "__cause__", following)
        else:
            _set_attribute(last, "__context__", following)
            if before["suppress"] and shown is None:  # links after ``raise ... from None`` are not shown
                shown = last
        _set_attribute(last, "__suppress_context__", before["suppress"])
        last = following
    _set_attribute(last if shown is None else shown, "__cause__", RemoteTraceback(host, text))
    return error, text


def _rebuild_link(link: Link) -> BaseException:
    reason = link["reason"]
    if link["pickled"] is not None:
        try:
            error = loads_result(link["pickled"], ())
            if isinstance(error, BaseException):
                return error
            reason = "its pickle is not an exception here"
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # importing its module may do anything
            reason = describe(failure)
    return _make_stand_in(link, reason)


def _make_stand_in(link: Link, reason: Optional[str]) -> BaseException:
    bases = [getattr(builtins, name, None) for name in link["bases"]]
    for base in [*bases, Exception]:
        if not (isinstance(base, type) and issubclass(base, Exception)):
            continue
        try:
            cls: Any = type(link["type"], (UnknownRemoteError, base), {"__module__": link["module"]})
            error: BaseException = cls.__new__(cls, link["message"])
        except TypeError:  # a base whose instances need more than a text
            continue
        error.args = (link["message"],)
        _set_value(error)
        attributes: Dict[str, Value] = link.get("attributes", {})
        for name, value in attributes.items():
            _set_attribute(error, name, value)
        error.__dict__.update(remote_type=f"{link['module']}.{link['type']}", reason=reason)
        return error
    raise AssertionError("an Exception can always be made")
