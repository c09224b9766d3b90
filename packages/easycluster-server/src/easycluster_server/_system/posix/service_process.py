"""This process as a service of Windows, which it is not."""

from __future__ import annotations

import errno


class ServiceProcess:
    """Refuses to be made.

    Args:
        name: the name of the service.

    Raises:
        OSError: always.
    """

    def __init__(self, name: str) -> None:
        raise OSError(errno.ENOSYS, f"{name} is a service of Windows")

    def tell(self, *lines: str) -> None:
        """Do nothing."""

    def end(self, status: int) -> None:
        """Do nothing."""
