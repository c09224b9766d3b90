"""From a call to its message: options are taken out of the keywords, everything else is pickled and sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from easycluster_client._deadlines import deadline_after
from easycluster_client._session.interrupted_calls import drop_own_frames
from easycluster_client._session.losses import UNCONNECTED, new_loss, repeat_loss
from easycluster_client._session.references import References
from easycluster_client._session.session import ClientSession
from easycluster_protocol._constants import SINGLE
from easycluster_protocol._definitions import modules
from easycluster_protocol._values.serialize import name_function
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import CallNotSent, ConnectionLost

from . import completions
from .by_value import send_package
from .cancelling import cancel_interrupted
from .documentation import document_methods
from .keywords import DEVICE_MEMORY, NO_OPTIONS, OPTIONS, asks_to_wait, encode_threadid
from .misplaced_options import find_misplaced_options
from .packing import pack, pack_and_hold
from .proxy_state import ProxyState
from .response import NonblockingResponse

if TYPE_CHECKING:
    from easycluster_client._trust.policy import Policy
    from easycluster_protocol._objects.proxies import RemoteProxy
    from easycluster_protocol._types import Args, Buffer, Kwargs, Value

    from .completions import Completion
    from .owner import Owner

    #: The arguments of `ClientSession.request` behind the call.
    _Request = tuple[int, bytes, Sequence[Buffer], int]


class CallMaker:
    """Makes the calls of one client. It lives as long as the client, on one session after another.

    It is the only undocumented attribute of a client that other classes use: every other name belongs to the
    server.

    Args:
        client: the client.
        definitions: the definitions module in which names are looked up first.

    Attributes:
        session: the connection that the client has at present, or None.
        default_thread: the server thread of calls without ``threadid``.
        absence: the error of calls that are made while there is no connection.
    """

    #: Whether answers are read although no caller waits for them.
    reads_by_itself = False

    def __init__(self, client: Owner, definitions: str) -> None:
        self.client = client
        self.definitions = definitions
        self.session: ClientSession | None = None
        self.default_thread = 0
        self.absence = new_loss(
            ConnectionLost, "the client is not connected: call connect() first", UNCONNECTED
        )
        # Reentrant: completion functions that are called while a thread waits may send definitions, too.
        self._definitions_lock = threading.RLock()
        self._definitions_sent = 0
        self._new_response: Callable[..., NonblockingResponse] = NonblockingResponse
        #: What the host is trusted with, None: everything.
        self.policy: Policy | None = None

    def restrict(self, policy: Policy) -> None:
        """Trust the host with its results only, see `GuardedResponse`."""
        from .guarded_response import GuardedResponse  # few scripts need it

        self.policy = policy
        self._new_response = partial(GuardedResponse, policy)

    def renew_locks(self) -> None:
        """Replace the locks in a forked process: threads that do not exist there may hold the old ones."""
        self._definitions_lock = threading.RLock()

    def open(self, session: ClientSession) -> None:
        """Use a new connection, on which nothing is defined yet."""
        session.references.maker = self
        self.session = session
        self._definitions_sent = 0

    def describe_proxy(self, proxy: RemoteProxy, class_name: str) -> None:
        """See `References`."""
        proxy._easycluster_state.class_name = class_name
        document_methods(type(proxy), class_name)

    def new_proxy_state(self, oid: int, references: References | None = None) -> ProxyState:
        """Return the state of a new proxy.

        Args:
            oid: the number of the server object.
            references: the references of its connection; None: a script makes the proxy, on the connection
                that the client has at present.

        Raises:
            ConnectionLost: the client is not connected.
        """
        return ProxyState(self, references or self.get_session().references, oid)

    def call(self, name: Value, args: Args, kwargs: Kwargs) -> Value:
        """Call a global of the server, or a function of this process; ``kwargs`` may contain options."""
        __tracebackhide__ = True
        label = name if isinstance(name, str) else _get_label(name)
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
        __tracebackhide__ = True
        return self.make(m.INVOKE, (0, name, args, {}), name, options or NO_OPTIONS, session)

    def ask_for_result(
        self, oid: int, label: str, session: ClientSession, completed: Completion | None = None
    ) -> NonblockingResponse:
        """Ask for a result that the server has kept; see `late_results`.

        Args:
            oid: the number of the result.
            label: the name of the function that returned it, for messages.
            session: the connection.
            completed: called when it has come, or an error.
        """
        values: Args = (0, "get_result", (oid, send_package(session)), {})
        options = {"nonblocking": True, "threadid": SINGLE, "oncomplete": completed}  # others may be busy
        response: NonblockingResponse = self.make(m.INVOKE, values, label, options, session)
        return response

    def invoke(
        self,
        oid: int,
        name: str,
        args: Args,
        kwargs: Kwargs,
        options: Mapping[str, Value],
        session: ClientSession | None = None,
    ) -> Value:
        """Call a method of a server object; all ``kwargs`` are arguments of the method."""
        __tracebackhide__ = True
        return self.make(m.INVOKE, (oid, name, args, kwargs), name, options, session)

    def raw_call(self, name: Value, args: Args, kwargs: Kwargs, options: Mapping[str, Value]) -> Value:
        """Call as `call` does; all ``kwargs`` are arguments of the function."""
        __tracebackhide__ = True
        label = name if isinstance(name, str) else _get_label(name)
        return self.make(m.CALL, (name, args, kwargs), label, options)

    def request(
        self,
        kind: int,
        values: Args,
        kwargs: Kwargs,
        label: str,
        session: ClientSession | None = None,
    ) -> Value:
        """Make a call whose keywords may contain options; ``values`` lack the keywords. See `make`."""
        __tracebackhide__ = True
        options = {key: kwargs.pop(key) for key in OPTIONS if key in kwargs}
        return self.make(kind, (*values, kwargs), label, options, session)

    def get_session(self) -> ClientSession:
        """Return the connection that the client has at present.

        Raises:
            ConnectionLost: the client is not connected.
        """
        if self.session is None:
            raise repeat_loss(ConnectionLost, self.absence)
        return self.session

    def make(
        self,
        kind: int,
        values: Args,
        label: str,
        options: Mapping[str, Value] = NO_OPTIONS,
        session: ClientSession | None = None,
    ) -> Value:
        """Make a call; return its value, or its response if the options ask for that.

        Args:
            kind: CALL or INVOKE.
            values: the body of the message, at whose end come the function, its args and its kwargs.
            label: the name of the function, for messages.
            options: the options of the call, see `ALL_OPTIONS`.
            session: the connection; None: the one that the client has at present.
        """
        if session is None:
            session = self.session
            if session is None:
                raise repeat_loss(CallNotSent, self.absence)
        response = self._new_response(self.client, label, session, options)
        if values[-1]:
            target = "host" if kind == m.CALL else "proxy"
            response.call_misplaced = find_misplaced_options(values[-1], target)
        if options:
            thread = encode_threadid(options.get("threadid"), self.default_thread)
            device_memory = bool(options.get(DEVICE_MEMORY))
            body, buffers = pack_and_hold(kind, values, session, response, device_memory)
            if options.get("nonblocking") or response.call_is_watched:
                _request_in_time(session, response, (kind, body, buffers, thread))
                return response
        else:  # the caller waits, so it holds the proxies among the values
            thread = self.default_thread
            body, buffers = pack(values, session, label)
        try:
            if response.call_timeout is not None:
                return _wait_in_time(session, response, (kind, body, buffers, thread))
            session.request(response, kind, body, buffers, thread)
            session.wait(response)
            if session.arrived or not response.call_is_answered:
                response.call_wait_until(None)
            message = response.call_answer
            if message is None or message.kind != m.RESULT:
                return response.call_take_result()
            return response.call_take_value(message)
        except BaseException as error:
            cancel_interrupted(error, (response,))
            drop_own_frames(error, _RAISES_ERRORS_OF_HOSTS)
            raise
        finally:
            del response  # see `NonblockingResponse.call_take_result`

    def run_completions(self, session: ClientSession, limit: int = -1, even_if_nested: bool = False) -> int:
        """Call the completion functions of the answers that have arrived.

        Args:
            session: the connection.
            limit: the greatest number of answers to deal with; -1: all.
            even_if_nested: whether to call them even if this thread is inside a completion function now.
                Otherwise they are called when that function has ended.

        Returns:
            The number of answers that were dealt with; -1: they will be when a completion function has ended.
        """
        if not session.arrived:
            return 0
        if not even_if_nested and completions.is_inside(CallMaker.run_completions, self):
            return -1
        count = 0
        while session.arrived and count != limit:
            try:
                call = session.arrived.pop(0)
            except IndexError:  # another thread has taken the last one
                break
            count += 1
            call.call_complete()
        return count

    def update_definitions(self, options: Mapping[str, Value] = NO_OPTIONS) -> Value:
        """Send the definitions that the server does not have yet.

        It returns None, or the response if the options ask for that.
        All are tried, each once; the first error is raised in the end.
        """
        waits = asks_to_wait(options)
        with self._definitions_lock:
            new = modules.defined_blocks[self._definitions_sent :]
            if waits and not new:
                return None
            if waits:
                self.get_session().check_may_wait()  # before anything is sent
            blocks = [(block.module, block.number, block.source) for block in new]
            response = self.operation(
                "define", (blocks,), {"origexc": "quiet", **options, "nonblocking": True}
            )
            self._definitions_sent += len(new)
            # Under the lock, so another thread that sends definitions does not return before these are there.
            return response.wait() if waits else response

    def prepare(self) -> None:
        """Prepare a new connection: send the definitions, and the name of the module to look names up in."""
        self.update_definitions()
        if self.definitions != modules.DEFAULT_NAME:
            self.operation("use_definitions", (self.definitions,))


#: It raises the errors of remote code.
_RAISES_ERRORS_OF_HOSTS = NonblockingResponse.call_take_result.__code__


def _get_label(function: Value) -> str:
    if not callable(function):
        raise TypeError(f"the target of a call must be a function or the name of one, not {function!r}")
    get_path: Value = getattr(type(function), "_easycluster_get_path", None)
    if get_path is not None:
        path = get_path(function)
        raise TypeError(
            f"{function!r} is the name of a function: write host.{path}(...) or call({path!r}, ...)"
        )
    return name_function(function)


def _request_in_time(
    session: ClientSession, response: NonblockingResponse, message: _Request
) -> float | None:
    """Send a call that may have a limit; return the end of its time."""
    deadline = deadline_after(response.call_timeout)
    if deadline is None:
        session.request(response, *message)
    else:
        with session.limit_sending(deadline):
            session.request(response, *message)
    return deadline


def _wait_in_time(session: ClientSession, response: NonblockingResponse, message: _Request) -> Value:
    """Make a call that has a limit, and return its value."""
    timeout = response.call_timeout
    deadline = _request_in_time(session, response, message)
    assert timeout is not None
    assert deadline is not None
    response.call_wait_in_time(deadline)
    if not response.call_is_answered:
        response.call_timeout = None  # later waits have a limit only if they are given one
        if response.call_cancels:
            response.cancel()
        response.call_check_time(timeout)
    return response.call_take_result()
