"""The proxy of the server itself, which is object 0 on every connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_server._serving.operations import Operations

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


class RootProxy(RemoteProxy):
    """The operations of a server as methods. Object 0 needs no receipts."""

    proxy_methods = tuple(sorted(Operations.NAMES))

    def __reduce_ex__(self, protocol: Value) -> Value:
        raise TypeError(
            f"{self!r} is the server itself, which cannot be passed to a call: code there needs no proxy"
        )
