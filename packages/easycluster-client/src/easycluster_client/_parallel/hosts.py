"""The clients of many hosts, by the specs with which they were connected."""

from __future__ import annotations

import sys
from types import TracebackType

from easycluster_client._api.client import Client

from .closing import close_all

if sys.version_info >= (3, 11):  # novm
    from typing import Self
else:
    from typing_extensions import Self


class Hosts(dict[str, Client]):
    """The clients that `connect_all` has connected, by their specs, in the order of the specs.

    It is a context manager: the end of a ``with`` block closes all clients that it holds, at once.

    Attributes:
        errors: the errors of the hosts that could not be connected, by their specs, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, BaseException] = {}

    def close(self) -> None:
        """Close all clients, at once; see `close_all`."""
        close_all(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Hosts: {len(self)} connected, {len(self.errors)} failed>"
