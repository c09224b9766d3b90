"""The response of one call: pending at first, then a value or an error for good."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from easycluster_client._address import name_host
from easycluster_client._deadlines import check_timeout, deadline_after, new_timeout_error, query_margin
from easycluster_client._session.losses import lose_result
from easycluster_protocol._types import Value
from easycluster_protocol._values.failures import list_kept, unpack_exception
from easycluster_protocol._values.late_results import LateResult, find_late_result
from easycluster_protocol._values.numpy_names import loads_again
from easycluster_protocol._values.object_pickle import loads_result
from easycluster_protocol._values.serialize import describe, loads
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import (
    CallCancelled,
    ConnectionLost,
    EasyClusterError,
    RemoteException,
)

from . import completions
from .by_value import can_send_package
from .cancelling import new_cancelled_error
from .future_methods import FutureMethods
from .keywords import CANCEL, check_modes, check_origexc
from .owner import Owner
from .rebuilding import PATIENCE, complete, explain_answer

if TYPE_CHECKING:
    from easycluster_client._session.session import ClientSession

    from .completions import Completion
    from .misplaced_options import MisplacedOptions

#: The value of a call, its exception, and the remote stack trace, which is None for an error that was raised
#: here.
Outcome = tuple["Value", BaseException | None, list[str] | None]

#: Takes the place of an answer that has been unpickled. It is not None, because a thread that reads until the
#: answer is there may check this after another thread has unpickled the answer.
_UNPICKLED = Message(m.RESULT)


class NonblockingResponse(FutureMethods):
    """The response of a call with ``nonblocking=True``. It has the methods of `concurrent.futures.Future`,
    and can be awaited in asyncio.

    A script may set attributes of its own on a response. Names that begin with ``call_`` are in use inside
    the library.

    Attributes:
        client: the client that made the call.
        request_id: the number of the call on its connection.
    """

    client: Owner
    # See `PendingCall`.
    _origexc: Value = True
    _oncomplete: Completion | None = None
    _onerror: Completion | None = None
    #: The end of the time that the last wait for the answer had; None: no limit.
    call_deadline: float | None = None
    _outcome: Outcome | None = None
    #: Whether the stack trace of its error has been printed: once is enough.
    _is_reported = False
    #: The keywords of the function that may have been meant as options.
    call_misplaced: MisplacedOptions | None = None
    #: The response of the call that asks for the result, if the server has kept it.
    _later: NonblockingResponse | None = None
    #: The proxies that the call was given, see `pack_and_hold`.
    call_proxies: list[Value] | None = None

    def __init__(
        self,
        client: Owner,
        label: str,
        session: ClientSession,
        options: Mapping[str, Value] | None = None,
    ) -> None:
        self.client = client
        self.call_session = session
        self.call_label = label
        if options:
            check_modes(options)
            self._origexc = options.get("origexc", True)
            self._oncomplete = completions.check("oncomplete", options.get("oncomplete"))
            self._onerror = completions.check("onerror", options.get("onerror"))
            self.call_is_watched = self._oncomplete is not None or self._onerror is not None
            self.call_timeout = check_timeout(options.get("timeout"))
            self.call_cancels = bool(options.get(CANCEL))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be sent, pickled or copied: it belongs to a connection of this process;"
            " its value, which wait() returns, can be"
        )

    def __repr__(self) -> str:
        state = "done" if self.have_response else "pending"
        return f"<NonblockingResponse to {self.call_label} on {self.client.peername}: {state}>"

    @property
    def have_response(self) -> bool:
        """Whether the answer has arrived, or the connection was lost."""
        return self.call_is_answered

    def wait(self, origexc: Value = None, timeout: float | None = None) -> Value:
        """Wait until the call has ended on the server, and return its value.

        Args:
            origexc: see `Client`; None: the ``origexc`` of the call.
            timeout: how long to wait, in seconds; None: as long as the ``timeout`` that the call got by
                `options` says, else for ever.

        Raises:
            Exception: the exception of the remote code, see ``origexc``.
            CallNotSent: the connection ended before the call was sent: it has not run.
            OutcomeUnknown: the connection ended before the answer came: the call may have run. Both are
                classes of ConnectionLost.
            CallTimeout: there is no answer yet. The call goes on, and can be waited for again.
            ValueError: ``origexc`` is a number, as of seconds, or an unknown text.
        """
        if origexc is not None:
            check_origexc(origexc, f"; a time limit is wait(timeout={origexc!r})")
        try:
            self.call_wait_again(timeout)
            return self.call_take_result(origexc)
        finally:
            del self  # see `call_take_result`

    def fileno(self) -> int:
        """Return the descriptor of the connection, for `select`.

        Raises:
            ConnectionLost: the connection has ended.
        """
        if self.call_session.error is not None:
            raise self.call_session.new_error()
        return self.call_session.transport.fileno()

    def read_response(self, block: bool = True) -> bool:
        """Read answers of the connection, see `Client.read_response`."""
        return self.client.read_response(block)

    def call_wait(self, timeout: float | None) -> None:
        """Wait as `wait` does, without unpickling the answer."""
        has_own_limit = timeout is None
        if timeout is None:
            timeout = self.call_timeout
        deadline = self.call_deadline = deadline_after(timeout)
        if deadline is None:
            self.call_wait_until(None)
        else:
            self.call_wait_in_time(deadline)
        if timeout is not None and not self.call_is_answered:
            if has_own_limit and self.call_cancels:
                self.cancel()
            self.call_check_time(timeout)

    def call_wait_in_time(self, deadline: float) -> None:
        """Wait as `call_wait_until` does, and ask the server before the deadline whether the call has
        begun."""
        left = deadline - time.monotonic()
        if left > 0:
            self.call_wait_until(deadline - query_margin(left))
            if not self.call_is_answered:
                self.call_session.query_status(self)
        self.call_wait_until(deadline)

    def call_wait_until(self, deadline: float | None) -> None:
        """Wait for the answer, and call the completion functions of those that arrive meanwhile."""
        session, calls = self.call_session, self.client._easycluster_calls
        if not self.call_is_answered:
            session.give_back()
        keep_waiting = False
        while True:
            if not self.call_is_answered:
                session.wait(self, deadline, keep_waiting)
            if session.arrived:
                # Below 0: this thread is in a completion function, and calls the others after its end.
                keep_waiting = calls.run_completions(session) < 0
            if self.call_is_answered or (deadline is not None and time.monotonic() >= deadline):
                return

    def call_take_value(self, message: Message) -> Value:
        """Return the value of a RESULT as `call_take_result` does, for a caller that keeps no response."""
        if message.receipts is None and message.damage is None:
            try:
                return loads(message.body, buffers=message.buffers)
            except (Exception, SystemExit) as error:
                self._outcome = self._load_again(error, message)
        try:
            return self.call_take_result()
        finally:
            del self  # see there

    def call_take_result(self, origexc: Value = None, as_future: bool = False) -> Value:
        """Return the value of the answer, or raise its error; see `wait`.

        Args:
            origexc: see `wait`.
            as_future: whether to raise an exception that is no `Exception` as a `RemoteException`: a
                SystemExit, for example, would end this process, or the loop of asyncio.
        """
        value, error, text = self._resolve()
        if error is None:
            return value
        try:
            if text is not None:
                mode = self._origexc if origexc is None else origexc
                if mode is not None and not mode:
                    raise self._make_remote(error, text) from error.__cause__
                if mode != "quiet" and not self._is_reported:
                    self._is_reported = True
                    self.client.report_exception(self._make_remote(error, text))
                if as_future and not isinstance(error, Exception):
                    raise self._make_remote(error, text) from None
            raise error.with_traceback(None)
        finally:
            # The error holds this frame and the response holds the error, which must not become a circle.
            del self, error

    def _exception(self) -> BaseException | None:
        """Return the error that `result` would raise, or None."""
        _, error, text = self._resolve()
        if error is None or text is None:
            return error
        is_original = self._origexc is None or self._origexc
        return error if is_original and isinstance(error, Exception) else self._make_remote(error, text)

    def _make_remote(self, error: BaseException, text: list[str]) -> RemoteException:
        remote = RemoteException(error, text)
        name_host(remote, self.call_session.peername)
        return remote

    def _resolve(self) -> Outcome:
        """Unpickle the answer, once, in the thread that wants the value, under no lock of the library."""
        # The message first: another thread that unpickles it at the same time replaces the message last.
        message, outcome = self.call_answer, self._outcome
        if outcome is not None:
            return outcome
        if message is None:
            assert self.call_loss is not None, "resolved before the answer came"
            outcome = (None, self.call_loss, None)
        elif message.kind == m.FAILURE and message.damage is None:
            outcome = self._resolve_failure(message)
        else:
            outcome = self._resolve_result(message)
        self._outcome = outcome
        self.call_answer = _UNPICKLED
        self.call_proxies = None
        return outcome

    def _resolve_failure(self, message: Message) -> Outcome:
        peername = self.call_session.peername
        label = "the exception that {} raised"
        try:
            late = [] if message.receipts is None else list_kept(message.body)
        except Exception as failure:
            return None, self._explain(label, failure), None
        # Out here: an interrupt of the waiting is no error of the answer.
        kept = {oid: self._ask_for_exception(oid) for oid in late}
        try:
            if message.receipts is None:
                error, text = unpack_exception(message.body, peername)
            else:
                unpack = partial(unpack_exception, message.body, peername, kept.get)
                error, text = self.call_session.references.load_answer(message, unpack)
        except Exception as failure:
            return None, self._explain(label, failure), None
        return self._finish_failure(error, text)

    def _finish_failure(self, error: BaseException, text: list[str]) -> Outcome:
        """Return the outcome for an exception of the host, with the hints that explain it."""
        peername = self.call_session.peername
        if isinstance(error, CallCancelled) and self.call_is_cancelled:
            # The script has asked for it, so no stack trace is printed.
            return None, new_cancelled_error(self.call_label, peername, error), None
        if self.call_misplaced is not None:
            self.call_misplaced.explain(error, text)
        if isinstance(error, (NameError, TypeError)):
            from .hints import explain  # few calls need it

            explain(error, text)
        complete(error, peername)
        name_host(error, peername)
        return None, error, text

    def _resolve_result(self, message: Message) -> Outcome:
        if message.damage is not None:
            return None, self._explain("the result of {}", MemoryError(message.damage)), None
        try:
            if message.receipts is None:
                return loads(message.body, buffers=message.buffers), None, None
            load = partial(loads_result, message.body, message.buffers)
            value = self.call_session.references.load_answer(message, load)
        except (Exception, SystemExit) as error:  # unpickling a value must not end the master
            return self._load_again(error, message)
        # Out here: an interrupt of the waiting is no error of the value.
        return self._wait_for(value) if type(value) is LateResult else (value, None, None)

    def _load_again(self, error: BaseException, message: Message) -> Outcome:
        """Return the outcome for a result that could not be unpickled: perhaps another NumPy is to blame."""
        load = partial(loads_again, error, message.body, message.buffers)
        try:
            if message.receipts is None:
                return load(), None, None
            return self.call_session.references.load_answer(message, load), None, None
        except (Exception, SystemExit) as failure:
            return None, self._explain("the result of {}", failure), None

    def _wait_for(self, late: LateResult) -> Outcome:
        """Return the outcome of a call whose result the server has kept."""
        try:
            later = self._later = self._later or self._ask_for(late)
        except ConnectionLost as error:
            return None, lose_result(error, self.call_label), None
        later.call_wait_until(self.call_deadline)
        if not later.call_is_answered:
            where = f"{self.call_label} on {self.call_session.peername}"
            text = f"the call to {where} has ended, but its result did not come in time; wait for it again"
            raise new_timeout_error(text, "started", self)
        outcome = later._resolve()
        if later.call_loss is None:
            return outcome
        return None, lose_result(later.call_loss, self.call_label), None

    def _ask_for_exception(self, oid: int) -> Value:
        """Return an exception that the server has kept, or None if it cannot be had."""
        session = self.call_session
        if not can_send_package(session):
            return None
        try:
            session.check_may_wait()
            later = self._ask_for(LateResult(oid))
            later.call_wait(PATIENCE)
            value, _, _ = later._resolve()
        except EasyClusterError:
            return None
        return value

    def _ask_for(self, late: LateResult, completed: Completion | None = None) -> NonblockingResponse:
        calls = self.client._easycluster_calls
        response: NonblockingResponse = calls.ask_for_result(
            late.oid, self.call_label, self.call_session, completed
        )
        return response

    def _explain(self, label: str, error: BaseException) -> BaseException:
        calls = self.client._easycluster_calls
        return explain_answer(label.format(self.call_label), error, self.call_session, calls)

    def call_complete(self) -> None:
        """Call the completion functions, if there are any.

        The background thread of a `ThreadedClient` cannot wait for a result that the server has kept. So they
        are called when it has come.
        """
        answer = self.call_answer
        late = None
        if answer is not None and answer.kind == m.RESULT and answer.receipts and answer.damage is None:
            late = find_late_result(answer.body)
        if late is not None:
            try:
                self._later = self._ask_for(late, lambda _: self._complete())
                return
            except ConnectionLost:
                pass
        self._complete()

    def _complete(self) -> None:
        completion = self._oncomplete
        if self._oncomplete is not None or self._onerror is not None:
            value, error, text = self._resolve()
            if error is not None:
                completion = completion if self._onerror is None else self._onerror
                # Also errors that the remote code did not raise, as the end of the connection: completion
                # functions distinguish errors from values by this class.
                value = self._make_remote(error, text or [f"{describe(error)}\n"])
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
