"""What is imported ahead of the first connection, by a process from which workers come."""

from __future__ import annotations

from importlib import import_module

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


def warm_up() -> None:
    """Import the modules that server objects, exceptions and definitions modules take.

    If that fails, as for want of descriptors, each worker tries again for itself.
    """
    try:
        import_module("easycluster_server._objects")
        import_module("easycluster_protocol._values.failures")
        import_module("easycluster_server._serving.logged_calls")
        easycluster = import_module("easycluster")
        for name in easycluster.__all__:
            getattr(easycluster, name)
    except Exception:  # also a client that is installed on a Python for which it is too new
        pass
