"""Exceptions to bytes and back, so that no exception can cost more than its own call.

The text of an exception always travels: type, message, stack trace. The exception itself travels
beside it when this end could rebuild it from its pickle, so that a class which cannot be pickled
fails here, where its text is known, and not at the receiver. The receiver that cannot rebuild it
after all (a class it does not have) makes a class of the same name, derived from the original's
nearest built-in base.

The body of a FAILURE message is a pickle of built-in types only: a list with one dictionary for
the exception and one for each link of its chain of causes.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from typing import Any, Dict, List, Optional, Set, Tuple, cast

from easycluster_protocol._pickling import dumps, loads
from easycluster_protocol.errors import RemoteTraceback, UnknownRemoteError

from .object_pickle import dumps_copy, loads_result
from .serialize import PLAIN, describe, dumps_by_value, text_of

#: Longer chains are cut; the text holds them whole.
_MAX_CHAIN = 32

#: Longer attributes, as the output of a program, stand-ins do without.
_MAX_ATTRIBUTE = 4096

#: From Python 3.11 on: what groups of exceptions are.
_GROUPS: Any = getattr(builtins, "BaseExceptionGroup", ())

#: Classes of exceptions may forbid their instances to be changed, as frozen dataclasses do.
_set: Any = BaseException.__setattr__


def pack_exception(error: BaseException, protocol: int, ready: Optional[bytes] = None) -> bytes:
    """Return the body of the FAILURE message for ``error``.

    Args:
        error: the exception, its traceback cut down to the user's own frames.
        protocol: the pickle protocol that both ends understand.
        ready: a pickle of it that is known to be good.
    """
    chain: List[Dict[str, Any]] = []
    link: Optional[BaseException] = error
    seen: Set[int] = set()
    while link is not None and id(link) not in seen and len(chain) < _MAX_CHAIN:
        seen.add(id(link))
        following, relation = _following(link)
        described = _describe_one(link, protocol, ready if link is error else None)
        chain.append({**described, "relation": relation, "suppress": link.__suppress_context__})
        link = following
    chain[0]["text"] = _format(error)
    return dumps(chain, protocol)


def _describe_one(error: BaseException, protocol: int, ready: Optional[bytes] = None) -> Dict[str, Any]:
    pickled, reason = (ready, None) if ready else _pickle_exception(error, protocol)
    return {
        "type": str(type(error).__name__),
        "module": str(type(error).__module__),
        "message": text_of(error),
        "bases": [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"],
        "pickled": pickled,
        "reason": reason,
        "attributes": _plain_attributes(error),
    }


def _plain_attributes(error: BaseException) -> Dict[str, Any]:
    """Return the attributes that a stand-in can have, too."""
    try:
        attributes = dict(vars(error))
        if isinstance(error, OSError):
            attributes.update(errno=error.errno, strerror=error.strerror, filename=error.filename)
    except Exception:
        return {}
    return {name: value for name, value in attributes.items() if type(value) in PLAIN and not _is_long(value)}


def _is_long(value: Any) -> bool:
    return isinstance(value, (str, bytes)) and len(value) > _MAX_ATTRIBUTE


def _following(error: BaseException) -> Tuple[Optional[BaseException], str]:
    if error.__cause__ is not None:
        return error.__cause__, "cause"
    return error.__context__, "context"


def _format(error: BaseException) -> List[str]:
    try:
        return traceback.format_exception(type(error), error, error.__traceback__)
    except Exception:  # an exception whose own methods fail
        return [describe(error) + "\n"]


def _show_one() -> None:
    """Let `traceback` import what it imports only once it has something to show, such as `ast`."""
    no_values: Dict[str, int] = {}
    try:
        no_values["ä"]  # of a line that is not ASCII it asks how wide it is
    except KeyError as error:
        _format(error)


if "easycluster_client" not in sys.modules:
    # This is a server, which imports this module in a thread where no signal handler can come between. And on
    # a host that was sent our code, only an import by a module of ours that is being imported itself finds
    # Python's own module rather than a file of the user's in the current folder.
    _show_one()


def _pickle_exception(error: BaseException, protocol: int) -> Tuple[Optional[bytes], Optional[str]]:
    """Return a pickle that was seen to rebuild ``error``, or None and the reason why there is none."""
    reason = None
    for value in (error, _Bare(error, False, protocol), _Bare(error, True, protocol)):
        try:
            pickled = _dumps(value, protocol)
            if _same(loads(pickled), error, value):
                return pickled, None
        except KeyboardInterrupt:
            raise
        except BaseException as failure:
            reason = reason or describe(failure)
    return None, reason or "its pickle gives something else"


def _dumps(value: Any, protocol: int) -> bytes:
    try:
        return dumps_copy(value, protocol)
    except Exception:
        by_value = dumps_by_value()
        if by_value is None:
            raise
        pickled: bytes = by_value(value, protocol)
        return pickled


def _same(copy: Any, error: BaseException, value: Any) -> bool:
    """Whether unpickling gave what was pickled; a constructor may accept its own text as argument."""
    if type(copy) is not type(error):
        return False
    return value is not error or repr(copy.args) == repr(error.args)


def _safe_repr(value: Any) -> Any:
    if type(value) in (str, bytes, int, float, bool, type(None)):
        return value
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


class _Bare:
    """Pickles an exception without its constructor: by class, ``args`` and attributes.

    Args:
        error: the exception.
        as_text: whether to send, of all values that are not plain, the repr only. The exceptions of a group
            go each as well as it can.
        protocol: the pickle protocol, for these.
    """

    def __init__(self, error: BaseException, as_text: bool, protocol: int) -> None:
        self._error = error
        self._as_text = as_text
        self._protocol = protocol

    def __reduce__(self) -> Tuple[Any, ...]:
        args, attributes = self._error.args, dict(self._error.__dict__)
        if self._as_text:
            if isinstance(self._error, _GROUPS):
                members: Any = cast("Any", self._error).exceptions
                args = args[0], [_Member(each, self._protocol) for each in members]
            else:
                args = tuple(map(_safe_repr, args))
            notes = attributes.pop("__notes__", None)
            attributes = {name: _safe_repr(value) for name, value in attributes.items()}
            if isinstance(notes, (list, tuple)):
                attributes["__notes__"] = list(map(_safe_repr, notes))  # pyright: ignore[reportUnknownArgumentType]
        return _rebuild, (type(self._error), args, attributes)


class _Member:
    """Pickles an exception of a group as what the receiver makes of it: itself, or what stands in for it."""

    def __init__(self, error: BaseException, protocol: int) -> None:
        self._error = error
        self._protocol = protocol

    def __reduce__(self) -> Tuple[Any, ...]:
        return _rebuild_link, (_describe_one(self._error, self._protocol),)


def _rebuild(kind: Any, args: Tuple[Any, ...], attributes: Dict[str, Any]) -> BaseException:
    error: BaseException = kind.__new__(kind, *args)
    _set(error, "args", args)
    _set_value(error)
    error.__dict__.update(attributes)
    return error


def _set_value(error: BaseException) -> None:
    """Finish an exception that was made without its constructor: where the interpreter looks for the value of
    a StopIteration that has none, it crashes."""
    if isinstance(error, StopIteration):
        StopIteration.__init__(error, *error.args)


def unpack_exception(body: Any, host: str) -> Tuple[BaseException, List[str]]:
    """Rebuild the exception in the body of a FAILURE message.

    Args:
        body: the body.
        host: the name of the server, for the cause that is put at the end of the chain.

    Returns:
        The exception, with its chain of causes and a `RemoteTraceback` at the end of what is shown
        of that, and the lines of the remote stack trace.
    """
    chain = loads(body)
    text: List[str] = chain[0]["text"]
    error = last = _rebuild_link(chain[0])
    shown: Optional[BaseException] = None
    for before, link in zip(chain, chain[1:]):
        following = _rebuild_link(link)
        if before["relation"] == "cause":
            _set(last, "__cause__", following)
        else:
            _set(last, "__context__", following)
            if before["suppress"] and shown is None:  # what follows ``raise ... from None`` is not shown
                shown = last
        _set(last, "__suppress_context__", before["suppress"])
        last = following
    _set(last if shown is None else shown, "__cause__", RemoteTraceback(host, text))
    return error, text


def _rebuild_link(link: Dict[str, Any]) -> BaseException:
    reason = link["reason"]
    if link["pickled"] is not None:
        try:
            error = loads_result(link["pickled"], ())
            if isinstance(error, BaseException):
                return error
            reason = "its pickle is no exception here"
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # importing its module may do anything
            reason = describe(failure)
    return _stand_in(link, reason)


def _stand_in(link: Dict[str, Any], reason: Optional[str]) -> BaseException:
    bases = [getattr(builtins, name, None) for name in link["bases"]]
    for base in [*bases, Exception]:
        if not (isinstance(base, type) and issubclass(base, Exception)):
            continue
        try:
            kind: Any = type(link["type"], (UnknownRemoteError, base), {"__module__": link["module"]})
            error: BaseException = kind.__new__(kind, link["message"])
        except TypeError:  # a base whose instances need more than a text
            continue
        error.args = (link["message"],)
        _set_value(error)
        attributes: Dict[str, Any] = link.get("attributes", {})
        for name, value in attributes.items():
            _set(error, name, value)
        error.__dict__.update(remote_type=f"{link['module']}.{link['type']}", reason=reason)
        return error
    raise AssertionError("an Exception can always be made")
