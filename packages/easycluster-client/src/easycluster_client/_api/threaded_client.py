"""The client for masters with several threads, each of which has a thread of its own on the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from easycluster_client._calls.maker import CallMaker
from easycluster_client._calls.threaded_maker import ThreadedCallMaker
from easycluster_client._connect.connected import OpenConnection
from easycluster_client._deadlines import CONNECT_TIMEOUT
from easycluster_client._session.session import ClientSession
from easycluster_client._session.threaded_session import ThreadedSession
from easycluster_protocol._definitions.modules import DEFAULT_NAME
from easycluster_protocol.keys import hide

from .client import Client

if TYPE_CHECKING:
    from easycluster_client._tls_options import PathLike


class ThreadedClient(Client):
    """A client that many threads may use at once, each with a server thread of its own.

    Calls of the master's main thread run in the main thread of the remote process. Calls of every
    other thread run in a server thread of its own, which ends when the local thread does. The option
    ``threadid`` of a call takes precedence, then `set_default_thread`.

    A thread in the background reads answers while no other thread waits for any: it calls completion
    functions as soon as a call has ended, and notices when the server has ended or is silent. A
    completion function must not wait for an answer of the same client: that raises `CompletionError`.
    An exception in a completion function is printed.

    For the arguments see `Client`. A silent host is asked, and given up, also while no call waits. Dropping
    the last reference closes the connection, too.

    Raises:
        ConnectError: the connection could not be made.
        KeyFileError: the key is not valid.
        ValueError: a limit is not a positive number.
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
        trust: str | None = None,
        tls: str = "auto",
        tls_ca: PathLike | None = None,
        tls_cert: PathLike | None = None,
        tls_key: PathLike | None = None,
    ) -> None:
        key = hide(key)
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
            trust=trust,
            tls=tls,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            keep_alive_interval=keep_alive_interval,
            keep_alive_timeout=keep_alive_timeout,
        )

    def _easycluster_new_call_maker(self, definitions: str) -> CallMaker:
        return ThreadedCallMaker(self, definitions)

    def _easycluster_new_session(self, connection: OpenConnection) -> ClientSession:
        return ThreadedSession(
            connection.link, connection.transport, connection.peername, self._easycluster_keep_alive
        )

    def set_default_thread(self, threadid: int) -> None:
        """Run calls without ``threadid`` in this server thread from now on, whichever thread makes them.

        Args:
            threadid: the server thread; 0: each local thread has its own again, as at first.
        """
        super().set_default_thread(threadid)

    def read_response(self, block: bool = True) -> NoReturn:
        """Raise `TypeError`: answers are read in the background."""
        raise TypeError("a ThreadedClient reads by itself: use wait(), have_response or oncomplete=")

    def check_threads(self) -> None:
        """End the server threads whose local threads have ended; this also happens without calling it."""
        calls = self._easycluster_calls
        assert isinstance(calls, ThreadedCallMaker)
        calls.ended.wake()


#: The name of `ThreadedClient` in earlier versions.
AutoThreadingClient = ThreadedClient
