"""What a connection needs of its transport, for type checkers."""

from __future__ import annotations

from typing import List, Optional, Protocol, Tuple  # novm

from easycluster_protocol._types import Buffer


class Inbox(Protocol):
    """Where received bytes go: a `Receiver`, or whatever stands in its place."""

    @property
    def inbox(self) -> Optional[List[bytes]]:
        """The list to which received bytes are appended; None: they go to `direct`."""
        ...

    @property
    def direct(self) -> Optional[Tuple[memoryview, List[int]]]:
        """The memory to fill, and the list to which the number of bytes filled is appended."""
        ...


class Transport(Protocol):
    """What a connection needs of its transport."""

    def fileno(self) -> int:
        """Return the descriptor to wait on for reading."""
        ...

    def write_fileno(self) -> int:
        """Return the descriptor to wait on for writing."""
        ...

    def receive(self, receiver: Inbox, block: bool) -> bool:
        """Receive once.

        Args:
            receiver: takes the bytes.
            block: whether to wait for them: for as long as the system lets a socket wait.

        Returns:
            Whether anything came.

        Raises:
            EndOfStream: nothing more will come.
            OSError: the connection broke.
        """
        ...

    def send(self, sent: List[int], buffers: List[Buffer], block: bool) -> bool:
        """Send once, as much of ``buffers`` as the system takes.

        Args:
            sent: the number of bytes sent is appended to it.
            buffers: what remains to be sent.
            block: whether to wait until something can be sent.

        Returns:
            Whether anything was sent.
        """
        ...

    def shutdown(self) -> None:
        """End both directions at once, also for processes that hold copies of the descriptor."""
        ...

    def close(self) -> None:
        """Close the descriptors."""
        ...
