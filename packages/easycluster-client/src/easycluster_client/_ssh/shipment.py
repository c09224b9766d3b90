"""Makes the bundles of our code for other hosts.

To a bare host go two. The startup bundle has the modules that a connection needs. The calls bundle has all
others, and is sent ahead of the first call. A standalone server of another version gets all at once, in the
upgrade bundle.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence, Set as AbstractSet

import easycluster_bootstrap as bootstrap

from .bundle_cache import cached

#: The packages whose modules are sent, and those on whose sources the bundles depend.
_SENT_PACKAGES = ("easycluster", "easycluster_protocol", "easycluster_server")
_BUNDLE_MAKERS = (*_SENT_PACKAGES, "easycluster_bootstrap", "easycluster_client")

#: The modules that a server on a pipe needs before the first call.
STARTUP_MODULES = frozenset(
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
        "easycluster_server._io.interrupts",
        "easycluster_server._io.transport",
        "easycluster_server._processes",
        "easycluster_server._processes.worker",
        "easycluster_server._serving",
        "easycluster_server._serving.idle_session",
        "easycluster_server._stdio",
        "easycluster_server._system",
        "easycluster_server._system.control",
        "easycluster_server._system.output",
        "easycluster_server._system.posix",
        "easycluster_server._system.posix.guardian",
        "easycluster_server._system.posix.keeper",
        "easycluster_server._system.posix.libc",
        "easycluster_server._system.posix.output_relay",
        "easycluster_server._system.posix.proc",
        "easycluster_server._system.posix.processes",
        "easycluster_server._system.posix.reports",
        "easycluster_server._system.posix.system_calls",
        "easycluster_server._system.posix.transport",
        "easycluster_server._system.posix.worker_end",
        "easycluster_server._system.refusal",
        "easycluster_server._system.stdio",
        "easycluster_server._system.this_process",
    )
)

#: Modules that no server on a pipe uses: it writes no log, has no clients, needs no TLS, checks no types, is
#: no Windows, has no command and does not become a service. The others have to fit one small message: the
#: module that receives large ones is among them.
_UNSENT_MODULES = frozenset(
    (
        "easycluster.__main__",
        "easycluster.parallel",
        "easycluster_server._command_line",
        "easycluster_server._io.tls",
        "easycluster_server._io.tls_contexts",
        "easycluster_server._io.tls_failures",
        "easycluster_server._io.tls_handshake",
        "easycluster_server._io.tls_server_files",
        "easycluster_server._processes.resumed",
        "easycluster_server._processes.upgrade",
        "easycluster_server._serving.logged_calls",
        "easycluster_server._serving.logged_streams",
        "easycluster_server._serving.session_log",
        "easycluster_server._standalone.config",
        "easycluster_server._standalone.service_manager",
        "easycluster_server._standalone.services",
        "easycluster_server._system.posix.outer_guardian",
        "easycluster_server._system.posix.replacing",
        "easycluster_server._system.replacing",
        "easycluster_server._system.transport_types",
        "easycluster_server._system.windows",
    )
)

#: Modules that a standalone server does not use once it has accepted a connection.
_NOT_IN_UPGRADES = frozenset(("easycluster_server._system.windows",))

#: The greatest number of bytes that may be sent to a host before its first call.
MAX_STARTUP_BYTES = 20_000

_ENTRY = "easycluster_server._stdio:main"
_UPGRADE_ENTRY = "easycluster_server._processes.resumed:main"


@functools.lru_cache(maxsize=1)
def collect_sources() -> Mapping[str, tuple[str, bool]]:
    """Return the sources of all modules that are sent, by name; each with whether it is a package."""
    return _collect_except(_UNSENT_MODULES)


def _collect_except(left_out: AbstractSet[str]) -> dict[str, tuple[str, bool]]:
    sources = bootstrap.collect(*_SENT_PACKAGES)
    return {name: source for name, source in sources.items() if left_out.isdisjoint(_names_above(name))}


def _names_above(name: str) -> list[str]:
    """Return the names of a module and of the packages that it is in."""
    return [name[: match.start()] for match in re.finditer(r"\.|$", name)]


def select_sources(at_startup: bool) -> dict[str, tuple[str, bool]]:
    """Return those of `collect_sources` that are sent at startup, or the others."""
    sources = collect_sources()
    return {name: source for name, source in sources.items() if (name in STARTUP_MODULES) == at_startup}


@functools.lru_cache(maxsize=1)
def _prepare_startup() -> bytes:
    return cached("startup", _BUNDLE_MAKERS, lambda: bootstrap.prepare(select_sources(at_startup=True)))


def startup_bundle(marker: bytes, pickle_protocol: int, compress: bool, looks: Sequence[bytes] = ()) -> bytes:
    """Return the bundle that is sent to the host before anything else; it writes ``marker`` when it starts.

    Args:
        marker: see `easycluster_bootstrap.new_marker`.
        pickle_protocol: the highest pickle protocol of this end.
        compress: whether the connection is to be compressed.
        looks: see `UnreadReports` of the host: the milliseconds between two looks, and the mark.
    """
    config = b" ".join((b"%d %d" % (pickle_protocol, compress), *looks))
    return bootstrap.complete(_prepare_startup(), _ENTRY, marker, config)


@functools.lru_cache(maxsize=1)
def calls_bundle() -> bytes:
    """Return the body of the message that is sent ahead of the first call."""
    return cached("calls", _BUNDLE_MAKERS, lambda: bootstrap.pack(select_sources(at_startup=False)))


@functools.lru_cache(maxsize=1)
def _prepare_upgrade() -> bytes:
    return cached("upgrade", _BUNDLE_MAKERS, lambda: bootstrap.prepare(_collect_except(_NOT_IN_UPGRADES)))


def upgrade_bundle(marker: bytes) -> bytes:
    """Return the bundle for a standalone server of another version; it writes ``marker`` when it starts.

    Args:
        marker: see `easycluster_bootstrap.new_marker`.
    """
    return bootstrap.complete(_prepare_upgrade(), _UPGRADE_ENTRY, marker)
