"""What is sent of our own code to a host that has nothing of it: at once what a connection needs, and
ahead of its first call what calls need."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import easycluster_bootstrap as bootstrap

from .bundle_cache import kept

#: The packages whose modules are sent, and those that make of them what is sent.
_SENT = ("easycluster", "easycluster_protocol", "easycluster_server")
_MAKING = (*_SENT, "easycluster_bootstrap", "easycluster_client")

#: What a server on a pipe needs until something is called.
_AT_ONCE = frozenset(
    (
        "easycluster_protocol",
        "easycluster_protocol._handshake",
        "easycluster_protocol._handshake.hello",
        "easycluster_protocol._limits",
        "easycluster_protocol._pickling",
        "easycluster_protocol._wire",
        "easycluster_protocol._wire.frame_reader",
        "easycluster_protocol._wire.frames",
        "easycluster_protocol._wire.link",
        "easycluster_protocol._wire.messages",
        "easycluster_protocol._wire.receiver",
        "easycluster_protocol._wire.sender",
        "easycluster_protocol.errors",
        "easycluster_server",
        "easycluster_server._io",
        "easycluster_server._io.channel",
        "easycluster_server._io.transport",
        "easycluster_server._processes",
        "easycluster_server._processes.guardian",
        "easycluster_server._processes.worker",
        "easycluster_server._serving",
        "easycluster_server._serving.executor",
        "easycluster_server._serving.follower",
        "easycluster_server._serving.lazy",
        "easycluster_server._serving.session",
        "easycluster_server._stdio",
        "easycluster_server._system",
        "easycluster_server._system.control",
        "easycluster_server._system.libc",
        "easycluster_server._system.proc",
        "easycluster_server._system.this_process",
    )
)

#: How many bytes may go to a host before its first call.
MAX_FIRST_PART = 20_000

_ENTRY = "easycluster_server._stdio:main"


@functools.lru_cache(maxsize=1)
def _sources() -> Mapping[str, tuple[str, bool]]:
    return bootstrap.collect(*_SENT)


def _part(at_once: bool) -> dict[str, tuple[str, bool]]:
    return {name: source for name, source in _sources().items() if (name in _AT_ONCE) == at_once}


@functools.lru_cache(maxsize=1)
def _prepared() -> bytes:
    return kept("first", _MAKING, lambda: bootstrap.prepare(_part(at_once=True)))


def first_part(marker: bytes, pickle_protocol: int, compress: bool) -> bytes:
    """Return what goes to the host before anything else; it writes ``marker`` when it has started.

    Args:
        marker: from `easycluster_bootstrap.new_marker`.
        pickle_protocol: the highest of this end.
        compress: whether the connection shall be compressed.
    """
    return bootstrap.complete(_prepared(), _ENTRY, marker, b"%d %d" % (pickle_protocol, compress))


@functools.lru_cache(maxsize=1)
def second_part() -> bytes:
    """Return the body of the message that goes ahead of the first call."""
    return kept("second", _MAKING, lambda: bootstrap.pack(_part(at_once=False)))
