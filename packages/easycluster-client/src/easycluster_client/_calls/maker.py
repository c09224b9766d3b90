"""From a call to its message: the options are taken out of the keywords, the rest is pickled and sent."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from easycluster_client._deadlines import deadline_after
from easycluster_client._session.references import References
from easycluster_client._session.session import ClientSession
from easycluster_protocol._definitions import modules
from easycluster_protocol._values.serialize import name_function
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectionLost

from . import completions
from .keywords import NO_OPTIONS, OPTIONS, UNATTENDED, thread_of
from .packing import pack, pack_and_hold
from .proxy_state import ProxyState
from .response import NonblockingResponse

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Buffer, Kwargs, Value

    from .owner import Owner


class CallMaker:
    """Makes the calls of one client. It lives as long as the client; its session does not.

    It is the one attribute of a client beside those that are documented, because every other name
    belongs to the server.
    """

    #: Whether answers arrive without any thread that waits for them.
    reads_by_itself = False

    def __init__(self, client: Owner, definitions: str) -> None:
        self.client = client
        self.definitions = definitions
        self.session: ClientSession | None = None
        self.default_thread = 0
        # Reentrant: completion functions that are called while one waits may update, too.
        self._definitions_lock = threading.RLock()
        self._definitions_sent = 0

    def renew_locks(self) -> None:
        """Do without the locks of before, in a forked process: a thread that is not here may have them."""
        self._definitions_lock = threading.RLock()

    def open(self, session: ClientSession) -> None:
        """Use a new connection, on which nothing is defined yet."""
        session.references.maker = self
        self.session = session
        self._definitions_sent = 0

    def proxy_state(self, references: References, oid: int) -> ProxyState:
        """Return the state of a new proxy."""
        return ProxyState(self, references, oid)

    def reference(self, oid: int) -> ProxyState:
        """Return the state of a proxy that a script makes itself.

        Raises:
            ConnectionLost: the client is not connected.
        """
        return self.proxy_state(self._session().references, oid)

    def call(self, name: Value, args: Args, kwargs: Kwargs) -> Value:
        """Call a global of the server, or a function of this process; ``kwargs`` may hold
        options."""
        label = name if isinstance(name, str) else _name_of(name)
        if kwargs:
            return self.request(m.CALL, (name, args), kwargs, label)
        return self.make(m.CALL, (name, args, kwargs), label)

    def operation(
        self,
        name: str,
        args: Args,
        options: Mapping[str, Value] | None = None,
        session: ClientSession | None = None,
    ) -> Value:
        """Call an operation of the server's root object."""
        return self.make(m.INVOKE, (0, name, args, {}), name, options or NO_OPTIONS, session)

    def invoke(
        self,
        oid: int,
        name: str,
        args: Args,
        kwargs: Kwargs,
        options: Mapping[str, Value],
        session: ClientSession | None = None,
    ) -> Value:
        """Call a method of a server object; ``kwargs`` are all the method's."""
        return self.make(m.INVOKE, (oid, name, args, kwargs), name, options, session)

    def raw_call(self, name: Value, args: Args, kwargs: Kwargs, options: Mapping[str, Value]) -> Value:
        """Call as `call` does; ``kwargs`` are all the function's."""
        label = name if isinstance(name, str) else _name_of(name)
        return self.make(m.CALL, (name, args, kwargs), label, options)

    def request(
        self,
        kind: int,
        start: Args,
        kwargs: Kwargs,
        label: str,
        session: ClientSession | None = None,
    ) -> Value:
        """Make a call whose keywords may hold options; see `make`."""
        options = {key: kwargs.pop(key) for key in OPTIONS if key in kwargs}
        return self.make(kind, (*start, kwargs), label, options, session)

    def _session(self) -> ClientSession:
        if self.session is None:
            raise ConnectionLost("the client is not connected: call connect() first")
        return self.session

    def make(
        self,
        kind: int,
        values: Args,
        label: str,
        options: Mapping[str, Value] = NO_OPTIONS,
        session: ClientSession | None = None,
    ) -> Value:
        """Send a call; return what its caller gets: its value, or its response.

        Args:
            kind: CALL or INVOKE.
            values: the body of the message; what is called, args and kwargs are its last three.
            label: the name of the function, for messages.
            options: the keywords that the call takes for itself, and ``timeout``.
            session: the connection; None: the one that the client has.
        """
        if session is None:
            session = self.session or self._session()
        response = NonblockingResponse(self.client, label, session, options)
        if options:
            thread = thread_of(options.get("threadid"), self.default_thread)
            body, buffers = pack_and_hold(kind, values, session, response)
            if response.call_timeout is not None:
                return _request_in_time(session, response, (kind, body, buffers, thread), options)
            session.request(response, kind, body, buffers, thread)
            if options.get("nonblocking") or response.is_watched:
                return response
        else:  # the caller waits, and holds the proxies among the values
            body, buffers = pack(values, session, label)
            session.request(response, kind, body, buffers, self.default_thread)
        try:
            session.wait(response)
            if session.arrived or not response.is_answered:
                response.wait_until(None)
            message = response.answer_message
            if message is None or message.kind != m.RESULT:
                return response.take_result()
            return response.take_value(message)
        finally:
            del response  # see `NonblockingResponse.take_result`

    def run_completions(self, session: ClientSession, limit: int = -1, even_if_nested: bool = False) -> int:
        """Call the completion functions of the answers that have arrived.

        Args:
            session: on which connection.
            limit: how many to call at most; -1: all.
            even_if_nested: call them also if this thread is in one of them at present. Else that is put off
                until it ends.

        Returns:
            How many answers were dealt with, or -1 when that was put off.
        """
        if not session.arrived:
            return 0
        if not even_if_nested and completions.is_inside(CallMaker.run_completions, self):
            return -1
        count = 0
        while session.arrived and count != limit:
            try:
                call = session.arrived.pop(0)
            except IndexError:  # another thread took it
                break
            count += 1
            call.complete_call()
        return count

    def update_definitions(self, options: Mapping[str, Value] = NO_OPTIONS) -> Value:
        """Send the definitions that the server does not have yet, and return what their caller gets.

        Each is tried once, all are tried; the first error is raised in the end.
        """
        attended = not any(map(options.get, UNATTENDED))
        with self._definitions_lock:
            new = modules.defined_blocks[self._definitions_sent :]
            if attended and not new:
                return None
            if attended:
                self._session().check_may_wait()  # before anything is sent
            blocks = [(block.module, block.number, block.source) for block in new]
            response = self.operation(
                "define", (blocks,), {"origexc": "quiet", **options, "nonblocking": True}
            )
            self._definitions_sent += len(new)
            # With the lock: to another thread that updates, too, they are there on return.
            return response.wait() if attended else response

    def prepare(self) -> None:
        """Make a new connection ready: its definitions, and where names resolve."""
        self.update_definitions()
        if self.definitions != modules.DEFAULT_NAME:
            self.operation("use_definitions", (self.definitions,))


def _name_of(function: Value) -> str:
    if not callable(function):
        raise TypeError(f"what is called must be a function or the name of one, not {function!r}")
    return name_function(function)


def _request_in_time(
    session: ClientSession,
    response: NonblockingResponse,
    message: tuple[int, bytes, Sequence[Buffer], int],
    options: Mapping[str, Value],
) -> Value:
    """Send a call that has a limit; return what its caller gets."""
    timeout = response.call_timeout
    deadline = deadline_after(timeout)
    assert timeout is not None
    assert deadline is not None
    with session.limit_sending(deadline):
        session.request(response, *message)
    if options.get("nonblocking") or response.is_watched:
        return response
    response.wait_in_time(deadline)
    if not response.is_answered:
        response.call_timeout = None  # a later wait has the limit that it is given, or none
        raise response.timeout_error(timeout)
    return response.take_result()
