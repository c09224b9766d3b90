"""Values that exist only in the master are sent by value: lambdas, closures, definitions of ``__main__`` and
notebooks.

Plain pickling only names functions and classes, and the server would look for these in vain. So values that
name ``__main__``, or cannot be pickled by name, are pickled again by cloudpickle. Its source is sent ahead of
the first such value on each connection, so the host needs nothing installed.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import easycluster_bootstrap as bootstrap
from easycluster_protocol._handshake.hello import Hello, describe_self
from easycluster_protocol._values.by_value import make_dumps_for_call
from easycluster_protocol._values.serialize import dumps, explain_dumps
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import SerializationError

if TYPE_CHECKING:
    from easycluster_client._session.session import ClientSession
    from easycluster_protocol._types import Args, Buffer, Value

    #: The pickle of the values, and the buffers that travel beside it.
    Packed = tuple[bytes, Sequence[Buffer]]

#: The bytes by which a pickle of protocol 4 or 5 names the module ``__main__``.
NAME_OF_MAIN = b"\x8c\x08__main__"

_PACKAGE = "cloudpickle"

_USUAL_ADVICE = (
    "make it on the host, in a function there; objects of classes given to make_server_class() stay there"
)
_ON_THE_HOST = "it belongs to this process: make it on the host, in a function of define_common()"

_LIST = "send a list(...) of its values"

#: Types that cannot be pickled → what to do instead.
_ADVICE = {
    **dict.fromkeys(("generator", "async_generator"), _LIST),
    "coroutine": "send the value that it returns, or the coroutine function itself with its arguments",
    **dict.fromkeys(("lock", "RLock", "socket", "SSLContext", "Connection", "Cursor"), _ON_THE_HOST),
}

#: The bytes in each pickle of cloudpickle in which a value is sent by value, and in those that contain code.
_BY_VALUE_MARK = b"cloudpickle.cloudpickle"
_CODE_MARK = b"CodeType"


def pack(values: Args, session: ClientSession, label: str) -> Packed:
    """Pickle the values of a call, by value if they exist only here.

    The source of cloudpickle is sent to the server if the values need it there.

    Args:
        values: the values of the call.
        session: the connection on which the call will be sent.
        label: the name of the function, for messages.

    Raises:
        SerializationError: a value cannot be pickled, or the Python of the server cannot run code
            that was compiled here.
    """
    try:
        body, buffers = dumps(values, session.pickle_protocol, _get_dumps())
    except Exception as error:
        raise _explain(values, label, error) from error
    if _CODE_MARK in body and not _same_bytecode(session.link.agreement.peer):
        # Perhaps all of it is that of named tuples, which can do without.
        body, buffers = dumps(values, session.pickle_protocol, _get_dumps(copy_tuples=True))
    if _BY_VALUE_MARK in body:
        if _CODE_MARK in body or not _can_run_cloudpickle(session.link.agreement.peer):
            _check_python(session, label)
        send_package(session)
    return body, buffers


def can_send_package(session: ClientSession) -> bool:
    """Whether cloudpickle can run on the server."""
    return _can_run_cloudpickle(session.link.agreement.peer)


def send_package(session: ClientSession) -> bool:
    """Send the server the source of cloudpickle, once; return whether it can run there."""
    if not can_send_package(session):
        return False
    if _PACKAGE not in session.sent_packages:
        session.control(m.MODULES, 0, _pack_sources())
        # Only now: another thread that finds the package here relies on its being on its way.
        session.sent_packages.add(_PACKAGE)
    return True


def _check_python(session: ClientSession, label: str) -> None:
    peer, own = session.link.agreement.peer, describe_self()
    if not _same_bytecode(peer):
        raise SerializationError(
            f"the call of {label} holds a function or class that exists only here and would go by value,"
            f" but {session.peername} runs {_name_python(peer)} and this is {_name_python(own)}: their"
            " bytecodes differ. Define it with define_common(), or use the same minor version of Python on"
            " both sides (rpython=COMMAND chooses the one on the host)"
        )


def _can_run_cloudpickle(hello: Hello) -> bool:
    return tuple(map(int, re.findall(r"\d+", hello.python)[:2])) >= (3, 8)


def _same_bytecode(peer: Hello) -> bool:
    return _identify_bytecode(describe_self()) == _identify_bytecode(peer)


def _identify_bytecode(hello: Hello) -> tuple[str, ...]:
    return (hello.implementation, *hello.python.split(".")[:2])


def _name_python(hello: Hello) -> str:
    return f"{hello.implementation} {hello.python}"


@functools.lru_cache(maxsize=1)
def _pack_sources() -> bytes:
    return bootstrap.pack(bootstrap.collect(_PACKAGE))


def _get_dumps(copy_tuples: bool = False) -> Callable[[Value, int], bytes]:
    # cloudpickle is imported only when a value is sent by value: it takes a while.
    return make_dumps_for_call(import_module("cloudpickle"), copy_tuples)


def _explain(values: Args, label: str, error: Exception) -> SerializationError:
    """Return the error that names the argument which could not be pickled."""
    *first, args, kwargs = values
    named = [(f"argument {index + 1} of {label}", value) for index, value in enumerate(args)]
    named += [(f"argument {name!r} of {label}", value) for name, value in kwargs.items()]
    # Before the arguments comes the function, or its name.
    named += [(f"the function {label} itself", value) for value in first]
    for name, value in named:
        try:
            dumps(value, 4, _get_dumps())
        except Exception as culprit:
            return explain_dumps(f"{name} (type {type(value).__name__})", culprit, _advise(value, culprit))
    return explain_dumps(f"an argument of {label}", error)


def _advise(value: Value, error: Exception) -> str:
    """Return the advice for an argument that cannot be pickled, in brackets, or an empty text."""
    if isinstance(value, io.IOBase):
        return " (host.open(path) opens a file of the host)"
    found = re.search(r"cannot pickle '([\w.]+)' object", str(error))
    if found is None:  # another class has given the reason
        return ""
    kind = found[1].rpartition(".")[2]
    if kind.startswith(("TextIO", "Buffered", "FileIO")):
        advice = "it holds an open file: send the path, or its text"
    else:
        advice = _ADVICE.get(kind, _USUAL_ADVICE)
    return f" ({advice})"
