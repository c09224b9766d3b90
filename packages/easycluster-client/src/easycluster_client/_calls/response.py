"""The answer to one call: pending at first, then a value or an error, for ever the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from easycluster_client import _deadlines
from easycluster_protocol._values.failures import unpack_exception
from easycluster_protocol._values.object_pickle import loads_result
from easycluster_protocol._values.serialize import describe, explain_loads, loads
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout, ConnectionLost, RemoteException

from . import completions
from .completions import Completion
from .future_methods import FutureMethods

if TYPE_CHECKING:
    from easycluster_client._api.client import Client

#: The value; the exception of the call; its remote stack trace, None for an error of our own.
_Outcome = tuple[Any, BaseException | None, list[str] | None]

#: Stands where an answer was that has been unpickled. It is not None, because a thread that reads
#: until the answer is there may look later than another thread resolves it.
_TAKEN = Message(m.RESULT)


class NonblockingResponse(FutureMethods):
    """What a call with ``nonblocking=True`` returns. It has the methods of `concurrent.futures.Future`,
    and can be awaited in asyncio.

    Attributes:
        client: the client that made the call.
        request_id: the number of the call on its connection.
    """

    client: Client
    request_id = 0
    # In the class, because one response is made per call and most need none of these.
    _origexc: Any = True
    _oncomplete: Completion | None = None
    _onerror: Completion | None = None
    _timeout: float | None = None
    #: Whether somebody is to be told when the answer comes.
    _completes = False
    _done = False
    #: Whether the server has said that a thread is at the call.
    _started = False
    _session: Any = None
    _message: Message | None = None
    _lost: ConnectionLost | None = None
    _outcome: _Outcome | None = None
    _watchers: list[Callable[[Any], Any]] | None = None
    _callbacks: list[Callable[[Any], Any]] | None = None
    #: The proxies that the call was given, see `CallMaker`.
    _proxies: Any = None

    def __init__(self, client: Client, what: str, options: Mapping[str, Any] | None = None) -> None:
        self.client = client
        self._what = what
        if options:
            self._origexc = options.get("origexc", True)
            self._oncomplete = completions.check("oncomplete", options.get("oncomplete"))
            self._onerror = completions.check("onerror", options.get("onerror"))
            self._completes = self._oncomplete is not None or self._onerror is not None
            self._timeout = _deadlines.check(options.get("timeout"))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be sent, pickled or copied: it belongs to a connection of this process;"
            " its value, which wait() returns, can be"
        )

    def __repr__(self) -> str:
        state = "done" if self.have_response else "pending"
        return f"<NonblockingResponse to {self._what} on {self.client.peername}: {state}>"

    @property
    def have_response(self) -> bool:
        """Whether the answer has arrived, or the connection was lost."""
        return self._done

    def wait(self, origexc: Any = None, timeout: float | None = None) -> Any:
        """Wait until the call has ended on the server, and return its value.

        Args:
            origexc: as the keyword of a call; None: what the call was given.
            timeout: how long to wait, in seconds; None: as long as the call was given by `options`,
                else for ever.

        Raises:
            Exception: what the remote code raised, see ``origexc``.
            ConnectionLost: the connection ended before the answer came.
            CallTimeout: there is no answer yet. The call goes on, and can be waited for again.
        """
        try:
            self._wait(timeout)
            return self._result(origexc)
        finally:
            del self  # see `_result`

    def fileno(self) -> int:
        """Return the descriptor of the connection, for `select`.

        Raises:
            ConnectionLost: the connection has ended.
        """
        error = self._session.error
        if error is not None:
            raise ConnectionLost(str(error))
        descriptor: int = self._session.transport.fileno()
        return descriptor

    def read_response(self, block: bool = True) -> bool:
        """Read answers of the connection, see `Client.read_response`."""
        return self.client.read_response(block)

    def _wait(self, timeout: float | None) -> None:
        if timeout is None:
            timeout = self._timeout
        deadline = _deadlines.deadline_of(timeout)
        if deadline is None:
            self._wait_until(None)
        else:
            self._wait_in_time(deadline)
        if timeout is not None and not self._done:
            raise self._too_late(timeout)

    def _too_late(self, timeout: float) -> CallTimeout:
        where = f"{self._what} on {self.client.peername}"
        state = "started" if self._started else "sent"
        text = f"no answer from {where} within {timeout:g} seconds: the call was {state}, and goes on there"
        return _deadlines.error(text, state, self)

    def _wait_in_time(self, deadline: float) -> None:
        """As `_wait_until`; shortly before the end the server is asked whether it has begun the call."""
        left = deadline - time.monotonic()
        if left > 0:
            self._wait_until(deadline - _deadlines.time_to_ask(left))
            if not self._done:
                self._session.ask(self)
        self._wait_until(deadline)

    def _wait_until(self, deadline: float | None) -> None:
        """Wait for the answer, and call the completion functions of those that arrive meanwhile."""
        session, calls = self._session, self.client._easycluster
        if not self._done:
            session.give_back()
        through = False
        while True:
            if not self._done:
                session.wait(self, deadline, through)
            if session.arrived:
                # Below 0: this thread is in a completion function, after whose end it calls the others.
                through = calls.run_completions(session) < 0
            if self._done or (deadline is not None and time.monotonic() >= deadline):
                return

    def _take(self, message: Message) -> Any:
        """Return the value of a RESULT, as `_result` does, where nobody will ask for it again."""
        if message.receipts is None and message.damage is None:
            try:
                return loads(message.body, buffers=message.buffers)
            except (Exception, SystemExit) as error:
                self._outcome = None, self._explain(error), None
        try:
            return self._result()
        finally:
            del self  # see there

    def _result(self, origexc: Any = None) -> Any:
        value, error, text = self._resolve()
        if error is None:
            return value
        try:
            if text is not None:
                mode = self._origexc if origexc is None else origexc
                if mode is not None and not mode:
                    raise RemoteException(error, text) from error.__cause__
                if mode != "quiet":
                    self.client.report_exception(RemoteException(error, text))
            raise error.with_traceback(None)
        finally:
            # The error holds this frame, and the response the error: nothing of that may be a circle.
            del self, error

    def _exception(self) -> BaseException | None:
        """Return what `_result` would raise."""
        _, error, text = self._resolve()
        if error is None or text is None or self._origexc is None or self._origexc:
            return error
        return RemoteException(error, text)

    def _resolve(self) -> _Outcome:
        """Unpickle the answer, once; in the thread that wants it, which holds no lock of ours."""
        # The message first: a thread that resolves at the same time replaces it last.
        message, outcome = self._message, self._outcome
        if outcome is not None:
            return outcome
        if message is None:
            assert self._lost is not None, "resolved before the answer came"
            outcome = (None, self._lost, None)
        elif message.kind == m.FAILURE and message.damage is None:
            outcome = self._resolve_failure(message)
        else:
            outcome = self._resolve_result(message)
        self._outcome = outcome
        self._message = _TAKEN
        self._proxies = None
        return outcome

    def _resolve_failure(self, message: Message) -> _Outcome:
        peername = self.client.peername
        try:
            if message.receipts is None:
                error, text = unpack_exception(message.body, peername)
            else:  # the value with which a generator ended
                error, text = self._session.references.loads(
                    message, partial(unpack_exception, message.body, peername)
                )
        except Exception as failure:
            return None, explain_loads(f"the exception that {self._what} raised", failure), None
        return None, error, text

    def _resolve_result(self, message: Message) -> _Outcome:
        try:
            if message.damage is None and message.receipts is None:
                return loads(message.body, buffers=message.buffers), None, None
            if message.damage is None:
                load = partial(loads_result, message.body, message.buffers)
                return self._session.references.loads(message, load), None, None
            failure: BaseException = MemoryError(message.damage)
        except (Exception, SystemExit) as error:  # no value may end the master
            failure = error
        return None, self._explain(failure), None

    def _explain(self, error: BaseException) -> BaseException:
        return explain_loads(f"the result of {self._what} on {self.client.peername}", error)

    def _lose(self, error: ConnectionLost) -> None:
        if not self._done:
            self._lost = error
            self._done = True

    def _watch(self, tell: Callable[[Any], Any]) -> None:
        """Let ``tell(response)`` be called as soon as the answer is there, perhaps more than once.

        Whoever reads calls it, in the middle of reading: it may neither raise nor wait.
        """
        vars(self).setdefault("_watchers", []).append(tell)
        self._completes = True
        # In this order: who reads sets it first, and looks for watchers then.
        if self._done:
            tell(self)

    def _unwatch(self, tell: Callable[[Any], Any]) -> None:
        try:
            vars(self).get("_watchers", []).remove(tell)
        except ValueError:
            pass

    def _tell_watchers(self) -> None:
        for tell in tuple(self._watchers or ()):
            tell(self)

    def _complete(self) -> None:
        """Call the completion functions, if there are any."""
        completion = self._oncomplete
        if self._oncomplete is not None or self._onerror is not None:
            value, error, text = self._resolve()
            if error is not None:
                completion = self._onerror or completion
                # Also for what the call itself did not raise, as the end of the connection: such a function
                # tells values from errors by this class.
                value = RemoteException(error, text or [f"{describe(error)}\n"])
            if completion is not None:
                completions.call(completion, value, self)
        self._call_back()

    def _call_back(self) -> None:
        callbacks = self._callbacks
        while callbacks:
            try:
                callback = callbacks.pop(0)  # one C call: each is taken by one thread only
            except IndexError:
                return
            completions.call(callback, self, self)
