"""`trust`: classes that a host may send although it is trusted with its results only."""

from __future__ import annotations

from easycluster_protocol._types import Value

from .connection import Connection


def trust(client: Connection, /, *classes: type) -> None:
    """Let a host send objects of these classes, on a client with ``trust="results"`` (in a spec:
    ``trust=results``).

    Such a client unpickles nothing that could run code here: only plain values (numbers, text, bytes,
    containers, dates and times, paths, UUIDs, decimal numbers and fractions), NumPy arrays, proxies,
    exceptions (built-in ones, and ours; of others the type and text), and objects of classes of the
    definitions. Everything else raises an `UntrustedResult` in its call.

    **A host may call the constructor of a class that is trusted here, and its ``__setstate__``, with any
    arguments.**

    Args:
        client: the client; the classes stay trusted when it connects again.
        classes: the classes, each by itself: not their subclasses.

    Raises:
        TypeError: one of them is no class, or ``client`` no client.
        ValueError: the client trusts its host with everything, so there is nothing to allow.
    """
    given: Value = client
    if not isinstance(given, Connection):
        raise TypeError(f"the first argument of trust() is a client, not {type(given).__name__}")
    for cls in classes:
        found: Value = cls
        if not isinstance(found, type):
            raise TypeError(f"trust() takes classes, not {found!r:.200}")
    policy = client._easycluster_calls.policy
    if policy is None:
        raise ValueError(
            f"{client!r} unpickles everything that its host sends: connect with trust=results in the spec, or"
            " with trust='results', to trust no more than the classes that are given here"
        )
    for cls in classes:
        policy.trust(cls)
