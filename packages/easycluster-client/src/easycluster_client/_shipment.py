"""What is sent of our own code to a host that has nothing of it: what every session needs at once, and the
rest behind its first call."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import easycluster_bootstrap as bootstrap

#: What a session does not need before its first call; everything else does.
_LATER = frozenset(
    (
        "easycluster.__main__",
        "easycluster.server",
        "easycluster_protocol._by_value",
        "easycluster_protocol._failures",
        "easycluster_protocol._handshake_client",
        "easycluster_protocol._handshake_secrets",
        "easycluster_protocol._strangers",
        "easycluster_protocol.keys",
        "easycluster_server._cli",
        "easycluster_server._forkserver",
        "easycluster_server._listener",
        "easycluster_server._spawn",
    )
)

_ENTRY = "easycluster_server._stdio:main"


@functools.lru_cache(maxsize=1)
def _sources() -> Mapping[str, tuple[str, bool]]:
    return bootstrap.collect("easycluster", "easycluster_protocol", "easycluster_server")


def first_part(marker: bytes) -> bytes:
    """Return what goes to the host before anything else; it writes ``marker`` when it has started."""
    sources = {name: source for name, source in _sources().items() if name not in _LATER}
    return bootstrap.bundle(sources, _ENTRY, marker, " ".join(sorted(_LATER)).encode("ascii"))


@functools.lru_cache(maxsize=1)
def second_part() -> bytes:
    """Return the body of the message that follows the first call."""
    return bootstrap.pack({name: source for name, source in _sources().items() if name in _LATER})
