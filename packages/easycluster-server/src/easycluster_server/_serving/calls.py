"""One call: from the message that asks for it to the message that answers it."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Callable, Dict, Optional, Sequence, Tuple

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
    name_function,
)
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import SerializationError

from .lazy import load, load_server_objects
from .operations import Operations, ServerNames

if TYPE_CHECKING:
    from types import TracebackType

    from easycluster_protocol._types import Args, Buffer, Kwargs, Value
    from easycluster_server._objects.table import ObjectTable

    from .session_log import SessionLog

    #: A pickle, the buffers that travel beside it, and the numbers of the server objects that it names.
    Pickled = Tuple[bytes, Sequence[Buffer], Sequence[int]]


def make_runner(pickle_protocol: int, log: Optional[SessionLog] = None) -> CallRunner:
    """Return the runner of a session's calls.

    Args:
        pickle_protocol: the pickle protocol that both ends understand.
        log: the log of the session; None: calls are not logged.
    """
    pathlib_local.make_importable()  # over ssh the master does not say which Python it is
    names = global_names.server_names = ServerNames()
    if log is None or not log.with_calls:
        return CallRunner(names, pickle_protocol)
    # Over ssh nothing is logged.
    runner: CallRunner = load("easycluster_server._serving.logged_calls").LoggingRunner(
        names, pickle_protocol, log
    )
    return runner


class CallRunner:
    """Unpacks calls and packs their answers. It holds no state of a call, so many threads may use it at once.

    Args:
        names: resolves the names of functions.
        pickle_protocol: the pickle protocol that both ends understand.
    """

    def __init__(self, names: ServerNames, pickle_protocol: int) -> None:
        self._names = names
        self._operations = Operations(names)
        self._protocol = pickle_protocol

    @property
    def objects(self) -> ObjectTable:
        """The server objects of the session."""
        table: ObjectTable = load_server_objects().object_table
        return table

    def unpack(self, request: Message) -> Tuple[Callable[..., Value], Value, Args, Kwargs]:
        """Return function, name, args and kwargs of a call; instead of a name there may be a function.

        Raises:
            DeserializationError: an argument cannot be rebuilt.
            NameError, AttributeError: there is no such function.
        """
        if request.damage is not None:
            raise MemoryError(f"the arguments did not arrive: {request.damage}")
        try:
            values = loads(request.body, buffers=request.buffers)
        except BaseException as error:
            values = _unpickle_again(error, request)
        if type(values[0]) is dict:  # options of the call for this end
            request.device_memory = bool(values[0].get("device_memory"))
            values = values[1:]
        if request.kind == m.CALL:
            name, args, kwargs = values
            oid = 0
        else:
            oid, name, args, kwargs = values
        return self.find_function(request, oid, name, args), name, args, kwargs

    def find_function(self, request: Message, oid: int, name: Value, args: Args) -> Callable[..., Value]:
        """Return the function of a call.

        Args:
            request: asks for the call.
            oid: the number of the server object whose method is called, 0: there is none.
            name: of the function or method; or the function.
            args: the arguments.

        Raises:
            NameError, AttributeError: there is no such function.
        """
        function: Callable[..., Value]
        if request.kind == m.CALL:
            function = self._names.resolve(name)
        elif oid:
            function = load_server_objects().get_method(self.objects.get(oid), name)
        elif name in Operations.NAMES:
            function = getattr(self._operations, name)
        else:
            raise AttributeError(f"the server has no operation {name!r}: call(name, ...) calls a function")
        return function

    def pack_failure(self, request: Message, error: BaseException) -> Message:
        """Return the answer to a call that raised ``error``."""
        # Not by assignment: classes of exceptions may forbid it, as frozen dataclasses do.
        BaseException.with_traceback(error, _skip_our_frames(error.__traceback__))
        named: Dict[int, None] = {}
        try:
            body = _pack_exception(error, self._protocol, self.objects, named)
        except BaseException:
            if named:
                self.objects.give_back(named)
            named = {}
            body = self._pack_hostile(error, named)
        return Message(m.FAILURE, request.request, body, request.thread, (), list(named))

    def _pack_hostile(self, error: BaseException, named: Dict[int, None]) -> bytes:
        """Pack an exception that failed to be packed."""
        try:
            # Perhaps a signal handler was to blame.
            return _pack_exception(error, self._protocol, self.objects, named)
        except (ImportError, OSError) as problem:
            # Remote code has used up the descriptors, or confined its process to another folder.
            packed: bytes = load("easycluster_protocol._values.plain_failures").pack_plainly(
                error, self._protocol, problem
            )
            return packed
        except BaseException as second:  # even describing it fails
            text = f"the call raised {type(error).__name__}, which cannot be sent: {describe(second)}"
            return _pack_exception(RuntimeError(text), self._protocol)

    def pack_result(self, request: Message, name: Value, value: Value) -> Message:
        """Return the answer to a call that returned ``value``.

        Args:
            request: asked for the call.
            name: see `unpack`.
            value: the result.
        """
        if type(value) is CoroutineType:
            value = run_coroutine(value)
        try:
            if type(value) in PLAIN_TYPES:
                body = _pickling.dumps(value, self._protocol)
                return Message(m.RESULT, request.request, body, request.thread)
            if type(value) is load_server_objects().KeptResult:
                pickle_it = self._pickle_raised if value.is_raised else self._pickle
                name, device_memory, value = value.name, value.device_memory, value.value
                body, buffers, references = pickle_it(value, device_memory)
            else:
                body, buffers, references = self._pickle_or_keep(get_name(name), value, request.device_memory)
        except BaseException as error:
            _forget_our_frames(error)
            explained = explain_dumps(f"the result of {get_name(name)}", error, _advise(value))
            return self.pack_failure(request, explained)
        return Message(m.RESULT, request.request, body, request.thread, buffers, references)

    def _pickle_or_keep(self, name: str, value: Value, device_memory: bool) -> Pickled:
        """Pickle a value as `_pickle` does, or let the client send what that takes, and ask again."""
        try:
            return self._pickle(value, device_memory)
        except SerializationError:  # cloudpickle would not change that
            raise
        except Exception:
            if find_dumps_by_value() is not None:
                raise
        listed: Dict[int, None] = {}
        objects = load_server_objects()
        try:
            number = self.objects.add(objects.KeptResult(name, value, device_memory=device_memory), listed)
            return _pickling.dumps(objects.LateResult(number), self._protocol), (), list(listed)
        except BaseException:
            self.objects.give_back(listed)
            raise

    def _pickle_raised(self, error: BaseException, device_memory: bool) -> Pickled:
        failures = load("easycluster_protocol._values.failures")
        pickled: Pickled = failures.pickle_kept(error, self._protocol, self.objects)
        return pickled

    def _pickle(self, value: Value, device_memory: bool) -> Pickled:
        """Pickle functions and classes by name where that can be done, and otherwise by value."""
        dumps_result: Callable[..., Pickled] = load_server_objects().dumps_result
        try:
            return dumps_result(value, self._protocol, self.objects, None, device_memory)
        except SerializationError:
            raise
        except Exception:
            by_value = find_dumps_by_value()
            if by_value is None:
                raise
            return dumps_result(value, self._protocol, self.objects, by_value, device_memory)


def _unpickle_again(error: BaseException, request: Message) -> Value:
    """Return the values of a call that could not be unpickled, if another NumPy is to blame."""
    try:
        names = load("easycluster_protocol._values.numpy_names")
        return names.loads_again(error, request.body, request.buffers)
    except BaseException as final:
        culprit = load("easycluster_protocol._values.culprit")
        raise explain_loads(culprit.name_culprit(request.body), final) from final


def run_coroutine(coroutine: Value) -> Value:
    """Run a coroutine, the result of a function declared by ``async def``, to its end; return its value."""
    return load("easycluster_server._serving.coroutines").run_coroutine(coroutine)


def _advise(value: Value) -> str:
    name: str = type(value).__qualname__
    if type(value).__module__ == "builtins" or isinstance(value, (BaseException, tuple)):
        return ""
    return f" (make_server_class({name}) makes such objects stay on the server)"


def _forget_our_frames(error: Optional[BaseException]) -> None:
    """Leave only the frames of user code in the tracebacks of an error of pickling."""
    while error is not None:
        BaseException.with_traceback(error, _skip_our_frames(error.__traceback__))
        error = error.__cause__ or error.__context__


def get_name(function: Value) -> str:
    """Return the name of the function of a call: the name itself, or the function, which came by value."""
    if isinstance(function, str):
        return function
    return name_function(function)


def _pack_exception(error: BaseException, *args: Value) -> bytes:
    # Most sessions never need it; over ssh it comes with the first call.
    packed: bytes = load("easycluster_protocol._values.failures").pack_exception(error, *args)
    return packed


def _skip_our_frames(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    """Return the part of a traceback that lies in the user's code: our frames, above it, say nothing."""
    while traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith(
        ("easycluster_server.", "easycluster_protocol.", "cloudpickle.")
    ):
        if traceback.tb_next is None:
            return None
        traceback = traceback.tb_next
    return traceback
