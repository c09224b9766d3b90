"""The owner of a call: the client that made it, as far as calls are concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from easycluster_protocol.errors import RemoteException

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easycluster_client._session.session import ClientSession
    from easycluster_protocol._types import Args, Kwargs, Value


class Calls(Protocol):
    """The maker of a client's calls, as far as responses, proxies and names are concerned; see `CallMaker`.

    Attributes:
        client: the client.
        definitions: the name of the definitions module in which names are looked up first.
        session: the connection that the client has at present, or None.
        default_thread: the server thread of calls without ``threadid``.
        reads_by_itself: whether answers are read although no caller waits for them.
    """

    definitions: str
    reads_by_itself: bool
    session: ClientSession | None
    default_thread: int

    @property
    def client(self) -> Owner: ...

    def call(self, name: Value, args: Args, kwargs: Kwargs) -> Value:
        """Call a global of the server, or a function of this process."""
        ...

    def request(
        self,
        kind: int,
        values: Args,
        kwargs: Kwargs,
        label: str,
        session: ClientSession | None = None,
    ) -> Value:
        """Make a call whose keywords may contain options."""
        ...

    def operation(
        self,
        name: str,
        args: Args,
        options: Mapping[str, Value] | None = None,
        session: ClientSession | None = None,
    ) -> Value:
        """Call an operation of the server's root object."""
        ...

    def ask_for_result(self, oid: int, label: str, session: ClientSession, completed: Value = None) -> Value:
        """Ask for a result that the server has kept; return the response."""
        ...

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
        ...

    def run_completions(self, session: ClientSession, limit: int = -1, even_if_nested: bool = False) -> int:
        """Call the completion functions of the answers that have arrived."""
        ...


class Owner(Protocol):
    """A client, as far as its calls are concerned."""

    @property
    def _easycluster_calls(self) -> Calls:
        """The maker of its calls."""
        ...

    @property
    def peername(self) -> str:
        """The server's name."""
        ...

    def raw_call(
        self, name: str, args: Iterable[Value], kwargs: Kwargs | None = None, **options: Value
    ) -> Value:
        """Call a function whose keyword arguments may have any names."""
        ...

    def read_response(self, block: bool = True) -> bool:
        """Read answers of the connection."""
        ...

    def report_exception(self, exc: RemoteException) -> None:
        """Print the stack trace of an exception of remote code."""
