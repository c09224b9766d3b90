"""The transport over a pair of descriptors, which some ssh servers give a command instead of a socket."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any, List

from easycluster_protocol._limits import SMALL_MESSAGE

from ._transport import GATHER, EndOfStream, wait

if TYPE_CHECKING:
    from easycluster_protocol._receiver import Receiver


class PipeTransport:
    """A pair of descriptors, one to read from and one to write to."""

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write
        for descriptor in {read, write}:
            os.set_blocking(descriptor, True)

    def fileno(self) -> int:
        """Return the descriptor to wait on for reading."""
        return self._read

    def write_fileno(self) -> int:
        """Return the descriptor to wait on for writing."""
        return self._write

    def receive(self, receiver: Receiver, block: bool) -> bool:
        """Receive once; see `SocketTransport.receive`."""
        if not block and not wait(self._read, -1, 0)[0]:
            return False
        notes = receiver.inbox
        if notes is not None:
            notes.extend(map(os.read, (self._read,), (SMALL_MESSAGE,)))
        else:
            direct = receiver.direct
            assert direct is not None
            view, notes = direct
            notes.extend(map(os.readv, (self._read,), ((view,),)))
        if not notes[-1]:
            raise EndOfStream("the peer closed the connection")
        return True

    def send(self, sent: List[int], buffers: List[Any], block: bool) -> bool:
        """Send once; see `SocketTransport.send`."""
        if not block:
            if not wait(-1, self._write, 0)[1]:
                return False
            # A pipe in blocking mode takes all or waits; for so much there is room now.
            buffers = [b"".join(buffers[:GATHER])[: select.PIPE_BUF]]
        sent.extend(map(os.writev, (self._write,), (buffers[:GATHER],)))
        return True

    def shutdown(self) -> None:
        """Do nothing: a pipe ends with its last descriptor."""

    def close(self) -> None:
        """Close both descriptors."""
        for descriptor in {self._read, self._write}:
            try:
                os.close(descriptor)
            except OSError:
                pass
        self._read = self._write = -1
