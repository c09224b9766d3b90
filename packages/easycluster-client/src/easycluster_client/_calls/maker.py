"""From a call to its message: takes the options out of the keywords, pickles the rest, sends it."""

from __future__ import annotations

import operator
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from easycluster_client import _deadlines
from easycluster_client._session.references import ProxyState
from easycluster_client._session.session import ClientSession
from easycluster_protocol import _pickling
from easycluster_protocol._constants import SINGLE, SINGLE_THREAD
from easycluster_protocol._definitions import modules
from easycluster_protocol._objects.proxies import context
from easycluster_protocol._values.serialize import PLAIN, dumps
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectionLost

from . import by_value, completions
from .keywords import NO_OPTIONS, OPTIONS, UNATTENDED
from .response import NonblockingResponse

if TYPE_CHECKING:
    from easycluster_client._api.client import Client


class CallMaker:
    """Makes the calls of one client. It lives as long as the client; its session does not.

    It is the one attribute of a client beside those that are documented, because every other name
    belongs to the server.
    """

    #: Whether answers arrive without anybody who waits for them.
    reads_by_itself = False

    def __init__(self, client: Client, definitions: str) -> None:
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

    def reference(self, oid: int) -> ProxyState:
        """Return what a proxy of a server object needs that a script makes itself.

        Raises:
            ConnectionLost: the client is not connected.
        """
        return ProxyState(self._session().references, oid)

    def call(self, name: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a global of the server, or a function of this process; ``kwargs`` may hold options of
        ours."""
        what = name if isinstance(name, str) else _name_of(name)
        if kwargs:
            return self.request(m.CALL, (name, args), kwargs, what)
        return self.make(m.CALL, (name, args, kwargs), what)

    def operation(
        self,
        name: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any] | None = None,
        session: ClientSession | None = None,
    ) -> Any:
        """Call an operation of the server's root object."""
        return self.make(m.INVOKE, (0, name, args, {}), name, options or NO_OPTIONS, session)

    def invoke(
        self,
        oid: int,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Any,
        session: ClientSession | None = None,
    ) -> Any:
        """Call a method of a server object; ``kwargs`` are all the method's."""
        return self.make(m.INVOKE, (oid, name, args, kwargs), name, options, session)

    def raw_call(self, name: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Any) -> Any:
        """Call as `call` does; ``kwargs`` are all the function's."""
        what = name if isinstance(name, str) else _name_of(name)
        return self.make(m.CALL, (name, args, kwargs), what, options)

    def request(
        self,
        kind: int,
        start: tuple[Any, ...],
        kwargs: dict[str, Any],
        what: str,
        session: ClientSession | None = None,
    ) -> Any:
        """Make a call whose keywords may hold options of ours; see `make`."""
        options = {key: kwargs.pop(key) for key in OPTIONS if key in kwargs}
        return self.make(kind, (*start, kwargs), what, options, session)

    def _session(self) -> ClientSession:
        if self.session is None:
            raise ConnectionLost("the client is not connected: call connect() first")
        return self.session

    def make(
        self,
        kind: int,
        values: tuple[Any, ...],
        what: str,
        options: Mapping[str, Any] = NO_OPTIONS,
        session: ClientSession | None = None,
    ) -> Any:
        """Send a call; return what its caller gets: its value, or its response.

        Args:
            kind: CALL or INVOKE.
            values: the body of the message; what is called, args and kwargs are its last three.
            what: what is called, for messages.
            options: the keywords of ours.
            session: the connection; None: the one that the client has.
        """
        if session is None:
            session = self.session or self._session()
        response = NonblockingResponse(self.client, what, options)
        if options:
            thread = thread_of(options.get("threadid"), self.default_thread)
            body, buffers = _pack_and_hold(kind, values, session, what, response)
            if response._timeout is not None:
                return _request_in_time(session, response, (kind, body, buffers, thread), options)
            session.request(response, kind, body, buffers, thread)
            if options.get("nonblocking") or response._completes:
                return response
        else:  # the caller waits, and holds the proxies among the values
            body, buffers = _pack(values, session, what)
            session.request(response, kind, body, buffers, self.default_thread)
        try:
            session.wait(response)
            if session.arrived or not response._done:
                response._wait_until(None)
            message = response._message
            if message is None or message.kind != m.RESULT:
                return response._result()
            return response._take(message)
        finally:
            del response  # see `NonblockingResponse._result`

    def run_completions(self, session: ClientSession, most: int = -1, nested: bool = False) -> int:
        """Call the completion functions of the answers that have arrived.

        Args:
            session: on which connection.
            most: how many to call at most; -1: all.
            nested: call them also if this thread is in one of them at present. Else that is put off until
                it ends.

        Returns:
            How many answers were dealt with, or -1 when that was put off.
        """
        if not session.arrived:
            return 0
        if not nested and completions.is_inside(CallMaker.run_completions, self):
            return -1
        count = 0
        while session.arrived and count != most:
            try:
                response = session.arrived.pop(0)
            except IndexError:  # another thread took it
                break
            count += 1
            response._complete()
        return count

    def update_definitions(self, options: Mapping[str, Any] = NO_OPTIONS) -> Any:
        """Send the definitions that the server does not have yet, and return what their caller gets.

        Each is tried once, all are tried; the first error is raised in the end.
        """
        attended = not any(map(options.get, UNATTENDED))
        with self._definitions_lock:
            new = modules.log[self._definitions_sent :]
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


def _pack(values: tuple[Any, ...], session: ClientSession, what: str) -> tuple[bytes, Sequence[Any]]:
    """Pickle the values of a call: by name what can be found there by name, else by value."""
    *_, name, args, kwargs = values
    if not kwargs and type(name) is str and (not args or PLAIN.issuperset(map(type, args))):
        # Nothing in it goes by value, is a proxy, travels beside the pickle or runs code of its own.
        try:
            return _pickling.dumps(values, session.pickle_protocol), ()
        except MemoryError:  # the general way says of which argument
            pass
    before = getattr(context, "references", None)  # pickling may make calls, too
    context.references = session.references  # for proxies among the values
    try:
        return _pack_any(values, session, what)
    finally:
        context.references = before


def _pack_any(values: tuple[Any, ...], session: ClientSession, what: str) -> tuple[bytes, Sequence[Any]]:
    try:
        body, buffers = dumps(values, session.pickle_protocol)
    except Exception:
        return by_value.pack(values, session, what)
    if by_value.MAIN in body:
        return by_value.pack(values, session, what)
    return body, buffers


def _pack_and_hold(
    kind: int, values: tuple[Any, ...], session: ClientSession, what: str, response: NonblockingResponse
) -> tuple[bytes, Sequence[Any]]:
    """Pickle the values, and let the response hold the proxies among them until it has its answer.

    The server looks for their objects when it begins the call. That may be long after a later message
    would have given them back.
    """
    before = getattr(context, "passed", None)
    passed: list[Any] = []
    context.passed = passed
    try:
        packed = _pack(values, session, what)
    finally:
        context.passed = before
    if kind == m.INVOKE and values[0]:
        passed.append(session.references.live(values[0]))
    response._proxies = passed
    return packed


def _name_of(function: Any) -> str:
    if not callable(function):
        raise TypeError(f"what is called must be a function or the name of one, not {function!r}")
    return str(getattr(function, "__qualname__", type(function).__name__))


def _request_in_time(
    session: ClientSession,
    response: NonblockingResponse,
    message: tuple[int, Any, Any, int],
    options: Mapping[str, Any],
) -> Any:
    """Send a call that has a limit; return what its caller gets."""
    timeout = response._timeout
    deadline = _deadlines.deadline_of(timeout)
    assert timeout is not None
    assert deadline is not None
    with session._channel.limit(deadline):
        session.request(response, *message)
    if options.get("nonblocking") or response._completes:
        return response
    response._wait_in_time(deadline)
    if not response._done:
        response._timeout = None  # who waits for it once more does so of their own will
        raise response._too_late(timeout)
    return response._result()


def thread_of(threadid: Any, default: int | None = None) -> int:
    """Return the number of a server thread as it is written on the wire.

    Args:
        threadid: what a script gives.
        default: what None means, if it means anything.

    Raises:
        TypeError: it is none.
    """
    if threadid is None and default is not None:
        return default
    if threadid is SINGLE:
        return SINGLE_THREAD
    try:
        number = operator.index(cast("Any", threadid))  # NumPy's integers are some, too
        if -(1 << 63) < number < 1 << 63:
            return number
    except TypeError:
        pass
    raise TypeError(
        f"threadid must be an integer (of less than 64 bits) or easycluster.SINGLE, not {threadid!r}"
    )
