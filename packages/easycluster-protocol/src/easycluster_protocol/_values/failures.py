"""Exceptions to bytes and back, in such a way that no exception can harm more than its own call.

The text of an exception always travels: type, message, stack trace. The exception itself travels
with it if this end could rebuild it from its pickle, so that a class which cannot be pickled
fails here, where its text is known, and not at the receiver. What cannot be pickled goes as text; server
objects go as such. A receiver that still cannot rebuild the exception (it does not have the class) makes a
class of the same name, derived from the original's nearest built-in base.

The body of a FAILURE message is a pickle of built-in types only: a list with one dictionary for
the exception and one for each link of its chain of causes.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from easycluster_protocol._pickling import PicklingError, dumps, loads
from easycluster_protocol.errors import RemoteTraceback, UnknownRemoteError

from .exception_pickle import ExceptionPickler
from .exceptions import set_attribute
from .numpy_names import loads_again
from .object_pickle import NoObjects, loads_result
from .serialize import PLAIN_TYPES, describe, get_text

if TYPE_CHECKING:
    from easycluster_protocol._objects.exports import ObjectTable
    from easycluster_protocol._objects.proxy_methods import Reduced
    from easycluster_protocol._types import Buffer, Value

    #: An exception as built-in types. ``type``, ``module``, ``message``; ``bases``: the names of its built-in
    #: bases; ``pickled``: its pickle, or None with the ``reason``; ``attributes``: those of plain types;
    #: ``late``: its number where the server has kept it, see `late_results`. In a chain also ``relation``:
    #: how the next link is attached, ``suppress``: whether that is not shown, and in the first link ``text``:
    #: the stack trace of the whole chain.
    Link = Dict[str, Any]

#: Longer chains are cut; their text is complete.
_MAX_CHAIN_LINKS = 32

#: A longer attribute, as the output of a program, is left out of a stand-in.
_MAX_ATTRIBUTE_LENGTH = 4096


def pack_exception(
    error: BaseException,
    protocol: int,
    objects: ObjectTable = NoObjects,
    listed: Optional[Dict[int, None]] = None,
) -> bytes:
    """Return the body of the FAILURE message for ``error``.

    Args:
        error: the exception; its traceback is cut down to the user's own frames.
        protocol: the pickle protocol that both ends understand.
        objects: the server's objects.
        listed: takes the numbers of the objects that the body names, and perhaps of others. They have their
            receipts, also when this raises an error.
    """
    pickler = ExceptionPickler(protocol, objects, {} if listed is None else listed, _reduce_member)
    chain: List[Link] = []
    link: Optional[BaseException] = error
    seen: Set[int] = set()
    while link is not None and id(link) not in seen and len(chain) < _MAX_CHAIN_LINKS:
        seen.add(id(link))
        following, relation = _find_next(link)
        described = _describe_one(link, pickler)
        kept = pickler.keep(link)
        if kept is not None:
            described["late"] = kept
        chain.append({**described, "relation": relation, "suppress": link.__suppress_context__})
        link = following
    chain[0]["text"] = _format(error)
    return dumps(chain, protocol)


def pickle_kept(
    error: BaseException, protocol: int, objects: ObjectTable
) -> Tuple[bytes, Sequence[Buffer], Sequence[int]]:
    """Pickle an exception that was kept for the client, see `late_results`.

    Returns:
        The pickle, no buffers beside it, and the numbers of the objects in it.

    Raises:
        PicklingError: not even what text leaves of it can be pickled.
    """
    listed: Dict[int, None] = {}
    try:
        pickled, reason = ExceptionPickler(protocol, objects, listed, _reduce_member).pickle(error)
        if pickled is None:
            raise PicklingError(reason)
    except BaseException:
        objects.give_back(listed)
        raise
    return pickled, (), list(listed)


def _describe_one(error: BaseException, pickler: ExceptionPickler) -> Link:
    pickled, reason = pickler.pickle(error)
    return {
        "type": str(type(error).__name__),
        "module": str(type(error).__module__),
        "message": get_text(error),
        "bases": [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"],
        "pickled": pickled,
        "reason": reason,
        "attributes": _copy_plain_attributes(error),
    }


def _reduce_member(error: BaseException, pickler: ExceptionPickler) -> Reduced:
    return rebuild_link, (_describe_one(error, pickler),)


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


def list_kept(body: Buffer) -> List[int]:
    """Return the numbers of the exceptions in a FAILURE message that the server has kept."""
    return [link["late"] for link in loads(body) if "late" in link]


def unpack_exception(
    body: Buffer, host: str, find_kept: Callable[[int], Value] = lambda _: None
) -> Tuple[BaseException, List[str]]:
    """Rebuild the exception in the body of a FAILURE message.

    Args:
        body: the body.
        host: the name of the server, for the cause that is added at the end of the chain.
        find_kept: returns an exception that the server has kept, see `list_kept`; or something else.

    Returns:
        The exception with its chain, in which a `RemoteTraceback` is the cause of the first link that was
        raised without one (``raise ... from``); and the lines of the remote stack trace.
    """
    return join_chain(loads(body), host, lambda link: _find_or_rebuild(link, find_kept))


def join_chain(
    chain: List[Link], host: str, make: Callable[[Link], BaseException]
) -> Tuple[BaseException, List[str]]:
    """Return the exception that a chain describes, and the lines of the remote stack trace.

    Args:
        chain: the unpickled body of a FAILURE message.
        host: see `unpack_exception`.
        make: makes the exception of one link.
    """
    text: List[str] = chain[0]["text"]
    error = last = make(chain[0])
    #: The link that has no cause. Scripts look for the stack trace there, and Python shows no context of it
    #: then: the trace tells it.
    without: Optional[BaseException] = None
    is_suppressed = True
    for before, link in zip(chain, chain[1:]):
        following = make(link)
        if before["relation"] == "cause":
            set_attribute(last, "__cause__", following)
        else:
            set_attribute(last, "__context__", following)
            if without is None:
                without, is_suppressed = last, before["suppress"]
        set_attribute(last, "__suppress_context__", before["suppress"])
        last = following
    without = last if without is None else without
    set_attribute(without, "__cause__", RemoteTraceback(host, text))
    set_attribute(without, "__suppress_context__", is_suppressed)
    return error, text


def _find_or_rebuild(link: Link, find_kept: Callable[[int], Value]) -> BaseException:
    kept = find_kept(link["late"]) if "late" in link else None
    return kept if isinstance(kept, BaseException) else rebuild_link(link)


def rebuild_link(link: Link) -> BaseException:
    reason = link["reason"]
    if link["pickled"] is not None:
        try:
            error = _load(link["pickled"])
            if isinstance(error, BaseException):
                return error
            reason = "its pickle is not an exception here"
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # importing its module may do anything
            reason = describe(failure)
    return make_stand_in(link, reason)


def _load(pickled: bytes) -> Value:
    try:
        return loads_result(pickled, ())
    except Exception as failure:
        return loads_again(failure, pickled, ())


def make_stand_in(link: Link, reason: Optional[str]) -> BaseException:
    """Return an exception that takes the place of one which cannot be rebuilt.

    Args:
        link: its description.
        reason: why it cannot be rebuilt.
    """
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
        if isinstance(
            error, StopIteration
        ):  # the interpreter crashes when it looks for a value that is not there
            StopIteration.__init__(error, link["message"])
        attributes: Dict[str, Value] = link.get("attributes", {})
        for name, value in attributes.items():
            set_attribute(error, name, value)
        error.__dict__.update(remote_type=f"{link['module']}.{link['type']}", reason=reason)
        return error
    raise AssertionError("an Exception can always be made")
