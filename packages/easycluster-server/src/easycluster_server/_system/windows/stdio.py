"""A server behind a pipe, which is sent only to hosts with ssh and a shell: not to Windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable, Sequence

if TYPE_CHECKING:
    from easycluster_server._system.transport_types import Transport


def take_over() -> Transport:
    """Refuse: pipes cannot be waited for together with other things here."""
    raise OSError("a server on Windows is reached by TCP: start it there with easycluster -S -k FILE")


def run_guardian_and_worker(
    transport: Transport,  # noqa: ARG001 -- as in the other half
    serve: Callable[[Transport], int],  # noqa: ARG001
    worker_descriptors: Iterable[int],  # noqa: ARG001
    tell: Callable[[str], object] = str,  # noqa: ARG001
    relays: bool = False,  # noqa: ARG001
    looks: Sequence[bytes] = (),  # noqa: ARG001
) -> None:
    """Refuse, see `take_over`."""
    take_over()
