"""Responses of hosts that are trusted with their results only: a `Policy` unpickles all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from easycluster_client._trust.failures import unpack_exception
from easycluster_client._trust.names import load
from easycluster_client._trust.untrusted import UntrustedName, make_visible
from easycluster_protocol._values.serialize import describe, explain_loads
from easycluster_protocol.errors import UntrustedResult

from .response import NonblockingResponse

if TYPE_CHECKING:
    from easycluster_client._session.session import ClientSession
    from easycluster_client._trust.failures import Load
    from easycluster_client._trust.policy import Policy
    from easycluster_protocol._types import Buffer, Value
    from easycluster_protocol._wire.messages import Message

    from .owner import Owner
    from .response import Outcome

#: The modules in which names mean that code comes by value. The server keeps such a result (`late_results`)
#: until it is asked for it, and it is not.
_CODE = (
    "cloudpickle",
    *(f"easycluster_protocol._values.{name}" for name in ("by_value", "late_results", "only_here")),
)


class GuardedResponse(NonblockingResponse):
    """The response of a call to a host that is trusted with its results only.

    Args:
        policy: what the host is trusted with.
        client, label, session, options: see `NonblockingResponse`.
    """

    def __init__(
        self,
        policy: Policy,
        client: Owner,
        label: str,
        session: ClientSession,
        options: Mapping[str, Value] | None = None,
    ) -> None:
        super().__init__(client, label, session, options)
        self.call_policy = policy

    def call_take_value(self, message: Message) -> Value:
        """See `NonblockingResponse`."""
        try:
            return self.call_take_result()
        finally:
            del self  # see there

    def _load(self, message: Message, use: Callable[[Load], Value]) -> Value:
        """Return what a function makes of a message; it gets the function that unpickles."""
        references = None if message.receipts is None else self.call_session.references

        def load_body(body: Buffer, level: int) -> Value:
            return load(self.call_policy, body, message.buffers, references, level)

        if references is None:
            return use(load_body)
        return references.load_answer(message, partial(use, load_body))

    def _resolve_failure(self, message: Message) -> Outcome:
        peername = self.call_session.peername
        try:
            error, text = self._load(message, lambda load: unpack_exception(load, message.body, peername))
        except Exception as failure:
            return None, self._explain("the exception that {} raised", failure), None
        return self._finish_failure(error, text)

    def _resolve_result(self, message: Message) -> Outcome:
        label = "the result of {}"
        if message.damage is not None:
            return None, self._explain(label, MemoryError(message.damage)), None
        try:
            value = self._load(message, lambda load: load(message.body, 0))
        except UntrustedName as failure:
            return None, self._refuse(failure), None
        except (Exception, SystemExit) as failure:  # unpickling a value must not end the master
            return None, self._explain(label, failure), None
        return value, None, None

    def _refuse(self, failure: UntrustedName) -> UntrustedResult:
        where = f"the result of {self.call_label} on {self.call_session.peername}"
        if failure.module.startswith(_CODE):
            return UntrustedResult(
                f"{where} holds a function or class by value, which is code, and this connection has"
                " trust=results."
                " Define it by define_common(), or return plain values"
            )
        return UntrustedResult(
            f"{where} names {failure.name}, which this connection does not trust (trust=results). If it is a"
            " class that may come from this host, allow it by easycluster.trust(client, CLASS)"
        )

    def _explain(self, label: str, error: BaseException) -> BaseException:
        # The host is not asked for its versions: it would not have to tell them.
        python = make_visible(self.call_session.link.agreement.peer.python)
        where = f"{label.format(self.call_label)} on {self.call_session.peername}"
        shown = ValueError(make_visible(describe(error))[:1000])
        return explain_loads(where, shown if str(shown) != describe(error) else error, f"Python {python}")

    def call_complete(self) -> None:
        """See `NonblockingResponse`; a result that the server has kept is not asked for."""
        self._complete()
