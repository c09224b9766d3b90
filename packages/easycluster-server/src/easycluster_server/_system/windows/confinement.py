"""What a connection's process may do. On Windows that is what its server may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable, Optional, Tuple

if TYPE_CHECKING:
    from easycluster_server._system.transport_types import Transport


def reload_signals() -> Tuple[int, ...]:
    """Return the signals that let a server read its keys and lists again."""
    return ()


def is_all_powerful(_run_as: Optional[str] = None) -> bool:
    """Return whether this process is root's, who does not exist there."""
    return False


class Confinement:
    """Takes rights away from a connection's process; here it takes none, and says so.

    Raises:
        ValueError: something is to be taken away.
    """

    #: Whether it makes the process another user's.
    changes_user = False

    def __init__(
        self, run_as: Optional[str] = None, max_memory: Optional[int] = None, nice: Optional[int] = None
    ) -> None:
        for name, value in (("run_as", run_as), ("max_memory", max_memory), ("nice", nice)):
            if value is not None:
                raise ValueError(
                    f"{name}={value!r} (--{name.replace('_', '-')}) is not possible on Windows: leave it"
                    " out, and run the server itself as another user (--install --service-user NAME)"
                )

    def find_unreadable(self, paths: Iterable[Optional[str]]) -> Optional[str]:
        """Return None: connections run as the user of their server, who has read its files."""
        return None

    def __bool__(self) -> bool:
        return False

    def __call__(self, transport: Transport, before: Optional[Callable[[], object]] = None) -> None:
        """Do nothing."""
