"""One call: from the message that asks for it to the message that answers it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Tuple

from easycluster_protocol import _pickling
from easycluster_protocol._definitions import names as global_names
from easycluster_protocol._values import pathlib_local
from easycluster_protocol._values.serialize import (
    PLAIN_TYPES,
    describe,
    explain_dumps,
    explain_loads,
    find_dumps_by_value,
    loads,
)
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message

from .lazy import load, server_objects
from .operations import Namespace, Root

if TYPE_CHECKING:
    from easycluster_server._objects.table import ObjectTable

    #: Called after each call with the name of what was called and how long it took, in seconds.
    OnCall = Callable[[str, float], None]

    #: See `easycluster_protocol._values.object_pickle.dumps_result`.
    DumpsResult = Callable[..., Tuple[bytes, Sequence[Any], Sequence[int]]]


def make_caller(pickle_protocol: int, verbosity: int = 0, peer: str = "local") -> Caller:
    """Return what executes the calls of a session.

    Args:
        pickle_protocol: the pickle protocol that both ends understand.
        verbosity: 2 logs every call to standard error.
        peer: who calls, for that log.
    """

    def log_call(name: str, seconds: float) -> None:
        sys.stderr.write(f"easycluster: {peer} called {name}: {seconds * 1000:.1f} ms\n")
        sys.stderr.flush()

    pathlib_local.make_importable()  # over ssh the master does not say which Python it is
    names = global_names.serving = Namespace()
    return Caller(names, pickle_protocol, log_call if verbosity >= 2 else None)


def _timed(function: Any, name: str, on_call: OnCall) -> Any:
    """Return what calls ``function`` and reports how long that took."""

    def call_and_report(*args: Any, **kwargs: Any) -> Any:
        begin = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            on_call(name, time.monotonic() - begin)

    return call_and_report


class Caller:
    """Executes calls. Holds no state of a call, so any number of threads may use it at once.

    Args:
        namespace: resolves the names of functions.
        pickle_protocol: the pickle protocol that both ends understand.
        on_call: called after each call; None: nobody wants to know.
    """

    def __init__(self, namespace: Namespace, pickle_protocol: int, on_call: Optional[OnCall] = None) -> None:
        self._namespace = namespace
        self._on_call = on_call
        self._root = Root(namespace)
        self._protocol = pickle_protocol

    @property
    def objects(self) -> ObjectTable:
        """The server objects of the session."""
        table: ObjectTable = server_objects().object_table
        return table

    def unpack(self, request: Message) -> Tuple[Any, str, Any, Any]:
        """Return function, name, args and kwargs of a call.

        Raises:
            DeserializationError: an argument cannot be rebuilt.
            NameError, AttributeError: there is no such function.
        """
        if request.damage is not None:
            raise MemoryError(f"the arguments did not arrive: {request.damage}")
        try:
            values = loads(request.body, buffers=request.buffers)
        except BaseException as error:
            raise explain_loads("an argument of the call", error) from error
        if request.kind == m.CALL:
            name, args, kwargs = values
            function = self._namespace.resolve(name)
        else:
            oid, name, args, kwargs = values
            if oid:
                function = server_objects().exported_method(self.objects.get(oid), name)
            elif name in Root.OPERATIONS:
                function = getattr(self._root, name)
            else:
                raise AttributeError(f"the server has no operation {name!r}")
        if self._on_call is not None:
            function = _timed(function, _name_of(name), self._on_call)
        return function, name, args, kwargs

    def failure(self, request: Message, error: BaseException) -> Message:
        """Return the answer for a call that ended with ``error``."""
        # Not by assignment: classes of exceptions may forbid it, as frozen dataclasses do.
        BaseException.with_traceback(error, _users_part(error.__traceback__))
        references: Sequence[int] = ()
        try:
            ready = None
            if type(error) is StopIteration and error.value is not None:
                ready, references = self._pack_end(error)
            body = _pack_exception(error, self._protocol, ready)
        except BaseException:
            self.objects.give_back(references)
            references = ()
            body = self._pack_hostile(error)
        return Message(m.FAILURE, request.request, body, request.thread, (), references)

    def _pack_end(self, error: StopIteration) -> Tuple[Optional[bytes], Sequence[int]]:
        """Pickle the end of a generator, whose value is as good as a result; that it cannot be pickled harms
        nobody who only wants to iterate."""
        try:
            body, _, references = self._dumps(error, min(self._protocol, 4))  # 4 has no buffers beside it
        except Exception:
            return None, ()
        return body, references

    def _pack_hostile(self, error: BaseException) -> bytes:
        """Pack an exception that failed to be packed."""
        try:
            return _pack_exception(error, self._protocol)  # perhaps that was the fault of a signal handler
        except BaseException as second:  # it is hostile even to being described
            text = f"the call raised {type(error).__name__}, which cannot be sent: {describe(second)}"
            return _pack_exception(RuntimeError(text), self._protocol)

    def result(self, request: Message, name: Any, value: Any) -> Message:
        """Return the answer for a call that returned ``value``."""
        try:
            if type(value) in PLAIN_TYPES:
                body = _pickling.dumps(value, self._protocol)
                return Message(m.RESULT, request.request, body, request.thread)
            body, buffers, references = self._dumps(value, self._protocol)
        except BaseException as error:
            explained = explain_dumps(f"the result of {_name_of(name)}", error, _advice(value))
            return self.failure(request, explained)
        return Message(m.RESULT, request.request, body, request.thread, buffers, references)

    def _dumps(self, value: Any, protocol: int) -> Tuple[bytes, Sequence[Any], Sequence[int]]:
        """Pickle by name what can be pickled so, else by value; see `dumps_result`."""
        dumps_result: DumpsResult = server_objects().dumps_result
        try:
            return dumps_result(value, protocol, self.objects)
        except Exception:
            by_value = find_dumps_by_value()
            if by_value is None:
                raise
            return dumps_result(value, protocol, self.objects, by_value)


def _advice(value: Any) -> str:
    kind: str = type(value).__qualname__
    if type(value).__module__ == "builtins":
        return ""
    return f" (make_server_class({kind}) lets such objects stay on the server)"


def _name_of(function: Any) -> str:
    """Return the name of what was called: a name, or a function that came by value."""
    if isinstance(function, str):
        return function
    return str(getattr(function, "__qualname__", type(function).__name__))


def _pack_exception(error: BaseException, protocol: int, ready: Optional[bytes] = None) -> bytes:
    # Most sessions never need it; over ssh it comes with the first call.
    packed: bytes = load("easycluster_protocol._values.failures").pack_exception(error, protocol, ready)
    return packed


def _users_part(traceback: Optional[Any]) -> Optional[Any]:
    """Return the part of a traceback that lies in the user's code: ours, above it, says nothing."""
    while traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith(
        ("easycluster_server.", "easycluster_protocol.")
    ):
        if traceback.tb_next is None:
            return None
        traceback = traceback.tb_next
    return traceback
