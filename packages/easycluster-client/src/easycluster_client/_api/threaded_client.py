"""The client for masters with several threads: each has a thread of its own on the server."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from threading import get_ident
from typing import Any, NoReturn

from easycluster_client._calls.keywords import NO_OPTIONS, UNATTENDED
from easycluster_client._calls.maker import CallMaker
from easycluster_client._connect.connect import Connected
from easycluster_client._session.background import EndedThreads, start_background
from easycluster_client._session.keep_alive import KeepAlive, check_keep_alive
from easycluster_client._session.session import ClientSession
from easycluster_client._session.threaded_session import ThreadedSession
from easycluster_client._ssh.prompts import CONNECT_TIMEOUT
from easycluster_protocol._definitions.modules import DEFAULT_NAME

from .client import Client

#: The server threads of local threads are numbered from here, away from what scripts write as threadid.
FIRST_THREAD = 1 << 32


class _Tie:
    """Lives as long as one local thread, and notes its end.

    It is a value of that thread's `_LocalThread`, which Python drops when the thread ends.
    """

    def __init__(self, number: int, ended: EndedThreads) -> None:
        self._number = number
        self._ended = ended

    def __del__(self) -> None:
        self._ended.add(self._number)


class _LocalThread(threading.local):
    """The server thread of the thread that looks.

    Attributes:
        number: its id. No two local threads ever get the same, unlike the identities that the system
            gives them. The main thread has the main thread.
    """

    def __init__(self, numbers: Iterator[int], ended: EndedThreads) -> None:
        self.number = 0
        if get_ident() != threading.main_thread().ident:
            self.number = next(numbers)
            self._tie = _Tie(self.number, ended)


class ThreadedCallMaker(CallMaker):
    """Makes the calls of one `ThreadedClient`, each in the server thread of the calling thread."""

    reads_by_itself = True

    def __init__(self, client: Client, definitions: str) -> None:
        self._chosen = 0
        self.ended = EndedThreads()
        self._local = _LocalThread(itertools.count(FIRST_THREAD), self.ended)
        super().__init__(client, definitions)

    @property
    def default_thread(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The server thread of calls without ``threadid``."""
        return self._chosen or self._local.number

    @default_thread.setter
    def default_thread(self, number: int) -> None:
        self._chosen = number

    def open(self, session: ClientSession) -> None:
        """Use a new connection, on which nothing is defined yet."""
        assert isinstance(session, ThreadedSession)
        super().open(session)
        start_background(session, self.ended)

    def prepare(self) -> None:
        """Make a new connection ready; in the server's main thread, as definitions may ask for that."""
        local = self._local
        number, local.number = local.number, 0
        try:
            super().prepare()
        finally:
            local.number = number

    def make(
        self,
        kind: int,
        values: tuple[Any, ...],
        what: str,
        options: Mapping[str, Any] = NO_OPTIONS,
        session: ClientSession | None = None,
    ) -> Any:
        """Send a call; see `CallMaker.make`."""
        session = session or self.session
        if not isinstance(session, ThreadedSession):
            return super().make(kind, values, what, options)  # which says that there is no connection
        attended = not options or not any(map(options.get, UNATTENDED))
        if attended and get_ident() == session.background:
            session.check_may_wait()  # before anything is sent
        try:
            result = super().make(kind, values, what, options, session)
            if not attended:
                session.arm()
        except BaseException:
            # `ThreadedSession.request` disarmed it. As `session.arm`, where an interrupt could come before.
            try:
                (session.watch.rouse if session._channel._unfinished else session.watch.arm)()
            except OSError as gone:
                if not session.is_gone(gone):
                    raise
            raise
        return result

    def run_completions(self, session: ClientSession, most: int = -1, nested: bool = False) -> int:
        """Leave the completion functions to the background thread."""
        return -1 if session.arrived else 0


class ThreadedClient(Client):
    """A client that many threads may use at once, each with a server thread of its own.

    Calls of the master's main thread run in the main thread of the remote process; calls of every
    other thread run in a server thread that belongs to it alone and ends when it does. ``threadid``
    in a call goes first, then `set_default_thread`.

    A thread in the background reads answers while nobody waits for any: it calls completion
    functions as soon as a call has ended, and notices when the server has gone or says nothing. A
    completion function must not wait for an answer of the same client: that raises `CompletionError`.
    An exception that one raises is printed.

    Args:
        keep_alive_interval: after how many seconds of silence the server is asked for a sign of life;
            None: never.
        keep_alive_timeout: after how many seconds of silence the connection is closed, and every
            call that waits raises `ConnectionLost`; None: never.

    The others are those of `Client`. Dropping the last reference closes the connection, too.

    Raises:
        ConnectError: the connection could not be made.
        KeyFileError: the key is no key.
        ValueError: a limit is no positive number.
        DefinitionError: the definitions failed on the server.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- scripts rely on it
        self,
        key: bytes | None = None,
        host: str | None = None,
        port: int | None = None,
        definitions: str = DEFAULT_NAME,
        enable_compression: bool = False,
        ssh: bool | str | None = None,
        user: str | None = None,
        rpython: str | None = None,
        extra_args: Sequence[str] = (),
        keep_alive_interval: float | None = 10,
        keep_alive_timeout: float | None = 60,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self._keep_alive = (
            check_keep_alive("keep_alive_interval", keep_alive_interval),
            check_keep_alive("keep_alive_timeout", keep_alive_timeout),
        )
        super().__init__(
            key,
            host,
            port,
            definitions,
            enable_compression,
            ssh,
            user,
            rpython,
            extra_args,
            connect_timeout=connect_timeout,
        )

    def _new_call_maker(self, definitions: str) -> CallMaker:
        return ThreadedCallMaker(self, definitions)

    def _new_session(self, connected: Connected) -> ClientSession:
        keep_alive = KeepAlive(*self._keep_alive)
        return ThreadedSession(connected.link, connected.transport, connected.peername, keep_alive)

    def set_default_thread(self, threadid: int) -> None:
        """Run calls without ``threadid`` in this server thread from now on, whichever thread makes them.

        Args:
            threadid: the server thread. 0: as at first, each local thread has its own.
        """
        super().set_default_thread(threadid)

    def read_response(self, block: bool = True) -> NoReturn:
        """Raise `TypeError`: answers are read in the background."""
        raise TypeError("a ThreadedClient reads by itself: use wait(), have_response or oncomplete=")

    def check_threads(self) -> None:
        """Do nothing that would not be done anyway: server threads end with their local threads."""
        call_maker = self._easycluster
        assert isinstance(call_maker, ThreadedCallMaker)
        call_maker.ended.wake()


#: Its name in earlier versions.
AutoThreadingClient = ThreadedClient
