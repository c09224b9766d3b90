"""The runner of calls on a server that logs them."""

from __future__ import annotations

from time import monotonic  # remote code may put something else in the place of `time.monotonic`
from types import CoroutineType
from typing import TYPE_CHECKING, Callable, Tuple

from easycluster_protocol._wire import messages as m

from .calls import CallRunner, get_name, run_coroutine
from .logged_streams import LoggedStreams, class_name, measure
from .session_log import clean

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Kwargs, Value
    from easycluster_protocol._wire.messages import Message

    from .operations import ServerNames
    from .session_log import LoggedCall, SessionLog


class LoggingRunner(CallRunner):
    """Runs calls, and has a line written about each of them; see `CallRunner`.

    Args:
        names: resolves the names of functions.
        pickle_protocol: the pickle protocol that both ends understand.
        log: the log of the session.
    """

    def __init__(self, names: ServerNames, pickle_protocol: int, log: SessionLog) -> None:
        super().__init__(names, pickle_protocol)
        self._log = log
        self._streams = LoggedStreams(log.write)
        log.last_lines = self._streams.end

    def unpack(self, request: Message) -> Tuple[Callable[..., Value], Value, Args, Kwargs]:
        """Return function, name, args and kwargs of a call; see `CallRunner.unpack`."""
        call = self._log.begin(request.request)
        try:
            return super().unpack(request)
        finally:
            call.begin = monotonic()

    def find_function(self, request: Message, oid: int, name: Value, args: Args) -> Callable[..., Value]:
        """Return the function of a call; see `CallRunner.find_function`."""
        call = self._log.find(request.request)
        if call is not None:
            self._describe(call, request, oid, name, args)
        return super().find_function(request, oid, name, args)

    def _describe(self, call: LoggedCall, request: Message, oid: int, name: Value, args: Args) -> None:
        call.label = clean(get_name(name))
        if name == "next_lines" and not oid and request.kind == m.INVOKE:  # many times `__next__`
            oid, name = self.objects.find(args[0]), "__next__"
        if oid:
            owner = self.objects.get(oid)
            call.label = clean(f"{class_name(owner)}.{name}")
            call.method = name
            call.stream = self._streams.find(oid, owner, name)
            call.argument_size = measure(args[0]) if call.stream and args else 0

    def pack_result(self, request: Message, name: Value, value: Value) -> Message:
        """Return the answer to a call that returned ``value``; see `CallRunner.pack_result`."""
        call = self._log.find(request.request)
        if type(value) is CoroutineType:
            value = run_coroutine(value)
        seconds = 0 if call is None else monotonic() - call.begin
        answer = super().pack_result(request, name, value)
        if call is not None and answer.kind == m.RESULT:
            self._finish(request, call, seconds, value, "")
        return answer

    def pack_failure(self, request: Message, error: BaseException) -> Message:
        """Return the answer to a call that raised ``error``; see `CallRunner.pack_failure`."""
        call = self._log.find(request.request)
        seconds = 0 if call is None else monotonic() - call.begin
        answer = super().pack_failure(request, error)
        if call is not None:
            self._finish(request, call, seconds, None, class_name(error))
        else:
            self._log.write(f"got no answer to a call: {class_name(error)}")
        return answer

    def _finish(self, request: Message, call: LoggedCall, seconds: float, result: Value, error: str) -> None:
        line = ""
        if not self._streams.note(call.stream, call.method, seconds, result, call.argument_size, error):
            failure = f", failed: {error}" if error else ""
            line = f"called {call.label}: {seconds * 1000:.1f} ms{failure}"
        self._log.finish(request.request, line)
