"""What is imported ahead of the first connection, by a process from which workers come."""

from __future__ import annotations

from importlib import import_module
from typing import Callable

#: Modules that workers import when they need them; they find them here, imported already.
_WORKER_MODULES = (
    "easycluster_protocol._wire.authenticator",
    "easycluster_protocol._wire.link",
    "easycluster_protocol._handshake.server",
    "easycluster_protocol._wire.streams",
    "easycluster_protocol._values.plain_failures",
    "easycluster_server._serving.calls",
    "easycluster_server._io.handshake",
    "easycluster_server._serving.threads",
    "easycluster_server._serving.idle_session",
    "easycluster_server._serving.session",
    "easycluster_server._serving.sent_modules",
    "easycluster_server._serving.cancelling",
)
#: Modules that only some connections need.
_LATER_MODULES = (
    "easycluster_server._objects",
    "easycluster_protocol._values.failures",
    "easycluster_server._serving.logged_calls",
    "easycluster_server._serving.raising",
)


def load() -> None:
    """Import the modules that every worker needs."""
    for name in _WORKER_MODULES:
        import_module(name)


def load_with_tls() -> None:
    """Import those of a server that offers TLS, too: `ssl` takes longer than a handshake.

    OpenSSL is not used here: its random numbers are to be those of the worker.
    """
    load()
    import_module("easycluster_server._io.tls_handshake")


def warm_up(is_wanted: Callable[[], bool] = lambda: False) -> None:
    """Import the modules that server objects, exceptions and definitions modules take.

    If that fails, as for want of descriptors, each worker tries again for itself.

    Args:
        is_wanted: asked between two modules whether a connection waits for this process, which then imports
            no more.
    """
    try:
        for name in _LATER_MODULES:
            if is_wanted():
                return
            import_module(name)
        easycluster = import_module("easycluster")
        for name in easycluster.__all__:
            if is_wanted():
                return
            getattr(easycluster, name)
    except Exception:  # also a client that is installed on a Python for which it is too new
        pass
