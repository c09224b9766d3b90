"""The calls of a `ThreadedClient`, where each local thread has a server thread of its own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from threading import get_ident
from typing import TYPE_CHECKING

from easycluster_client._session.background import EndedThreads, start_background
from easycluster_client._session.session import ClientSession
from easycluster_client._session.threaded_session import ThreadedSession

from .keywords import NO_OPTIONS, asks_to_wait
from .maker import CallMaker

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Value

    from .owner import Owner

#: The server threads of local threads are numbered from here, far from the numbers that scripts give as
#: ``threadid``.
FIRST_THREAD = 1 << 32


class _EndOfThread:
    """Notes the end of a local thread by its finaliser.

    It is an attribute of `_LocalThread`, and Python drops the attributes of a thread when the thread ends.
    """

    def __init__(self, number: int, ended: EndedThreads) -> None:
        self._number = number
        self._ended = ended

    def __del__(self) -> None:
        self._ended.add(self._number)


class _LocalThread(threading.local):
    """The server thread of the calling thread.

    Args:
        numbers: yields the numbers of new server threads.
        ended: where the end of local threads is noted.

    Attributes:
        number: the number of the server thread. Unlike the identities that the system gives to threads, no
            number is given twice. The main thread of the master has the main thread of the server.
    """

    def __init__(self, numbers: Iterator[int], ended: EndedThreads) -> None:
        self.number = 0
        if get_ident() != threading.main_thread().ident:
            self.number = next(numbers)
            self._end = _EndOfThread(self.number, ended)


class ThreadedCallMaker(CallMaker):
    """Makes the calls of one `ThreadedClient`, each in the server thread of the calling thread."""

    reads_by_itself = True

    def __init__(self, client: Owner, definitions: str) -> None:
        self._default_thread = 0
        self.ended = EndedThreads()
        self._local = _LocalThread(itertools.count(FIRST_THREAD), self.ended)
        super().__init__(client, definitions)

    @property
    def default_thread(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The server thread of calls without ``threadid``."""
        return self._default_thread or self._local.number

    @default_thread.setter
    def default_thread(self, number: int) -> None:
        self._default_thread = number

    def open(self, session: ClientSession) -> None:
        """Use a new connection, on which nothing is defined yet."""
        assert isinstance(session, ThreadedSession)
        super().open(session)
        start_background(session, self.ended)

    def prepare(self) -> None:
        """Prepare a new connection, in the server's main thread: definitions may need that thread."""
        local = self._local
        number, local.number = local.number, 0
        try:
            super().prepare()
        finally:
            local.number = number

    def make(
        self,
        kind: int,
        values: Args,
        label: str,
        options: Mapping[str, Value] = NO_OPTIONS,
        session: ClientSession | None = None,
    ) -> Value:
        """Make a call; see `CallMaker.make`."""
        session = session or self.session
        if not isinstance(session, ThreadedSession):
            return super().make(kind, values, label, options)  # raises ConnectionLost
        waits = not options or asks_to_wait(options)
        if waits and get_ident() == session.background:
            session.check_may_wait()  # before anything is sent
        try:
            result = super().make(kind, values, label, options, session)
            if not waits:
                session.arm()
        except BaseException:
            # `ThreadedSession.request` has disarmed the watch. This is `session.arm` without a function call,
            # at the beginning of which an interrupt could come.
            try:
                (session.watch.rouse if session.has_leftovers else session.watch.arm)()
            except OSError as gone:
                if not session.is_gone(gone):
                    raise
            raise
        return result

    def run_completions(self, session: ClientSession, limit: int = -1, even_if_nested: bool = False) -> int:
        """Leave the completion functions to the background thread."""
        return -1 if session.arrived else 0
