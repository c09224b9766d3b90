"""The objects of one session: each stays while the client has receipts for it.

Every message that names an object is one receipt, which counts from the moment at which the message is
made: an object whose proxy is dropped while another answer that names it is on its way stays. The client
gives receipts back when a proxy is gone, several at once; at equality the object is dropped.

Nothing of the user's runs under the lock, nor in the thread that reads: objects are let go in a thread of
its own, since their finalisers may take as long as they like.
"""

from __future__ import annotations

import _thread
import itertools
import threading
from collections import deque
from typing import Any, Deque, Dict, Iterable, List, Sequence, Tuple

from easycluster_protocol._wire.messages import Message
from easycluster_server._system.this_process import report


class _Entry:
    """An object and the receipts that the client has for it."""

    __slots__ = ("receipts", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.receipts = 0


class ObjectTable:
    """The objects of a session by number, from 1."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may answer a call in the middle of another
        self._numbers = itertools.count(1)
        self._entries: Dict[int, _Entry] = {}
        #: id of the object → its number; the entry keeps the object, and so its id.
        self._known: Dict[int, int] = {}
        #: The latest lists of receipts that were taken, see `release`. Their messages may be large.
        self._taken: Deque[Any] = deque(maxlen=16)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, oid: int) -> Any:
        """Return the object with this number.

        Raises:
            ReferenceError: there is none any more.
        """
        try:
            return self._entries[oid].value
        except KeyError:
            raise ReferenceError(
                f"there is no object {oid} on the server: its proxy was dropped, or is of another connection"
            ) from None

    def add(self, value: Any, listed: Dict[int, None]) -> int:
        """Return the number of an object that is named in a message, and count a receipt.

        Args:
            value: the object.
            listed: the numbers that the message names already; the object's is added.
        """
        with self._lock:
            oid = self._known.get(id(value))
            if oid is None:
                oid = next(self._numbers)
                self._entries[oid] = _Entry(value)
                self._known[id(value)] = oid
            if oid not in listed:
                # In this order: an interrupt between the two keeps an object that could go, nothing worse.
                self._entries[oid].receipts += 1
                listed[oid] = None
            return oid

    def give_back(self, oids: Iterable[int]) -> None:
        """Take back the receipts of a message that was not sent."""
        gone: List[Any] = []
        with self._lock:
            for oid in oids:
                self._return(oid, 1, gone)
        # Here `gone` ends, and the objects with it.

    def release(self, message: Message) -> None:
        """Take back the receipts that a message of the client returns; called by whoever reads.

        An interrupt may let the same message come twice, one directly behind the other.
        """
        # One C call: it is begun or it is not.
        _thread.start_new_thread(self._release, (message.releases,))

    def _release(self, releases: Sequence[Tuple[int, int]]) -> None:
        gone: List[Any] = []
        with self._lock:
            if any(releases is taken for taken in self._taken):
                return
            self._taken.append(releases)
            for oid, receipts in releases:
                self._return(oid, receipts, gone)
        while gone:
            try:
                gone.pop()
            except BaseException as error:
                report(error)

    def _return(self, oid: int, receipts: int, gone: List[Any]) -> None:
        entry = self._entries.get(oid)
        if entry is None:
            return
        entry.receipts -= receipts
        if entry.receipts <= 0:
            del self._entries[oid]
            del self._known[id(entry.value)]
            gone.append(entry.value)
