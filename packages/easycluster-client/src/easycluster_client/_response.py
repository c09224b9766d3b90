"""The answer to one call: pending at first, then a value or an error, for ever the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from easycluster_protocol import _messages as m
from easycluster_protocol._failures import unpack_exception
from easycluster_protocol._messages import Message
from easycluster_protocol._serialize import explain_loads, loads
from easycluster_protocol.errors import ConnectionLost, RemoteException

if TYPE_CHECKING:
    from ._client import Client

#: A function, or a tuple of a function and its further arguments.
Completion = Callable[[Any], Any] | tuple[Any, ...]

#: The value; the exception of the call; its remote stack trace, None for an error of our own.
_Outcome = tuple[Any, BaseException | None, list[str] | None]

#: Stands where an answer was that has been unpickled. It is not None, because a thread that reads
#: until the answer is there may look later than another thread resolves it.
_TAKEN = Message(m.RESULT)


class NonblockingResponse:
    """What a call with ``nonblocking=True`` returns.

    Attributes:
        client: the client that made the call.
        request_id: the number of the call on its connection.
    """

    request_id = 0
    # In the class, because one response is made per call and most need none of these.
    _origexc: Any = True
    _oncomplete: Completion | None = None
    _onerror: Completion | None = None
    _completes = False
    _done = False
    _session: Any = None
    _message: Message | None = None
    _lost: ConnectionLost | None = None
    _outcome: _Outcome | None = None

    def __init__(self, client: Client, what: str, options: Mapping[str, Any] | None = None) -> None:
        self.client = client
        self._what = what
        if options:
            self._origexc = options.get("origexc", True)
            self._oncomplete = options.get("oncomplete")
            self._onerror = options.get("onerror")
            self._completes = self._oncomplete is not None or self._onerror is not None

    def __repr__(self) -> str:
        state = "done" if self.have_response else "pending"
        return f"<NonblockingResponse to {self._what} on {self.client.peername}: {state}>"

    @property
    def have_response(self) -> bool:
        """Whether the answer has arrived, or the connection was lost."""
        return self._done

    def wait(self, origexc: Any = None) -> Any:
        """Wait until the call has ended on the server, and return its value.

        Args:
            origexc: as the keyword of a call; None: what the call was given.

        Raises:
            Exception: what the remote code raised, see ``origexc``.
            ConnectionLost: the connection ended before the answer came.
        """
        if not self._done:
            self._session.wait(self)
        self.client._easycluster.run_completions()
        return self._result(origexc)

    def fileno(self) -> int:
        """Return the descriptor of the connection, for `select`."""
        return self.client.fileno()

    def read_response(self, block: bool = True) -> bool:
        """Read answers of the connection, see `Client.read_response`."""
        return self.client.read_response(block)

    def _result(self, origexc: Any = None) -> Any:
        value, error, text = self._resolve()
        if error is None:
            return value
        if text is not None:
            mode = self._origexc if origexc is None else origexc
            if mode is False:
                raise RemoteException(error, text) from error.__cause__
            if mode != "quiet":
                self.client.report_exception(RemoteException(error, text))
        raise error.with_traceback(None)

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
        return outcome

    def _resolve_failure(self, message: Message) -> _Outcome:
        try:
            error, text = unpack_exception(message.body, self.client.peername)
        except Exception as failure:
            return None, explain_loads(f"the exception that {self._what} raised", failure), None
        return None, error, text

    def _resolve_result(self, message: Message) -> _Outcome:
        try:
            if message.damage is None and message.receipts is None:
                return loads(message.body, buffers=message.buffers), None, None
            if message.damage is None:
                return self._session.references.loads(message), None, None
            failure: BaseException = MemoryError(message.damage)
        except (Exception, SystemExit) as error:  # no value may end the master
            failure = error
        return None, explain_loads(f"the result of {self._what} on {self.client.peername}", failure), None

    def _arrive(self, message: Message) -> None:
        """Take the answer. Called by whoever reads, perhaps twice with the same message."""
        if not self._done:
            self._message = message
            self._done = True

    def _lose(self, error: ConnectionLost) -> None:
        if not self._done:
            self._lost = error
            self._done = True

    def _complete(self) -> None:
        """Call the completion function, if there is one."""
        value, error, text = self._resolve()
        completion = self._oncomplete
        if error is not None:
            completion = self._onerror or completion
            value = error if text is None else RemoteException(error, text)
        if isinstance(completion, tuple):
            completion[0](value, *completion[1:])
        elif completion is not None:
            completion(value)
