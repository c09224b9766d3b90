"""The objects of one session: each stays while the client has receipts for it.

Every message that names an object is one receipt, which counts from the moment at which the message is made:
so an object stays if its proxy is dropped while another answer that names it is on its way. The client gives
receipts back when a proxy is gone, several at once. An object for which it has none any more is dropped.

The description of a class, with all names that it exports, may have thousands of bytes. So a large one has a
number, and answers give the number alone from the moment at which the client has said that it knows the
description. Until then each answer has the description: it may be lost, or never be unpickled.

No user code runs under the lock, nor in the thread that reads: objects are dropped in a thread of
their own, because their finalisers may take as long as they like.
"""

from __future__ import annotations

import _thread
import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING, Deque, Dict, Iterable, List, Sequence, Set, Tuple

from easycluster_protocol._objects.exports import CLASS_KNOWN, MAX_NUMBERED_CLASSES
from easycluster_protocol._wire.messages import Message
from easycluster_server._system.this_process import report

if TYPE_CHECKING:
    from easycluster_protocol._objects.exports import Exports
    from easycluster_protocol._types import Args, Value

    #: Pairs of an object's number and a number of receipts.
    Releases = Sequence[Tuple[int, int]]

#: How many of the latest lists of receipts are remembered: an interrupt repeats the latest only.
_MAX_TAKEN = 16


class _Entry:
    """An object and the receipts that the client has for it."""

    __slots__ = ("receipts", "value")

    def __init__(self, value: Value) -> None:
        self.value = value
        self.receipts = 0


class ObjectTable:
    """The objects of a session by number, from 1."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may answer a call in the middle of another
        self._numbers = itertools.count(1)
        self._entries: Dict[int, _Entry] = {}
        #: ``id`` of the object → its number; the entry keeps the object, and so its ``id``.
        self._known: Dict[int, int] = {}
        #: The latest lists of receipts that were taken, see `release`. Their messages may be large.
        self._taken: Deque[Releases] = deque(maxlen=_MAX_TAKEN)
        self._class_numbers: Dict[Exports, int] = {}
        #: The numbers of the classes that the client knows, as releases name them.
        self._known_classes: Set[int] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, oid: int) -> Value:
        """Return the object with this number.

        Raises:
            ReferenceError: there is no such object, or not any more.
        """
        try:
            return self._entries[oid].value
        except KeyError:
            raise ReferenceError(
                f"there is no object {oid} on the server: "
                "its proxy was dropped, or belongs to another connection"
            ) from None

    def find(self, value: Value) -> int:
        """Return the number of an object, or 0: it has none."""
        return self._known.get(id(value), 0)

    def add(self, value: Value, listed: Dict[int, None]) -> int:
        """Return the number of an object that a message names, and count a receipt.

        Args:
            value: the object.
            listed: the numbers that the message names already; that of the object is added.
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

    def describe(self, exports: Exports) -> Args:
        """Return how a message names the class of an object, see `proxies.find_proxy`.

        Args:
            exports: those of the class.
        """
        descriptor = exports.descriptor
        if not exports.is_large:
            return (descriptor,)
        number = self._class_numbers.get(exports)
        if number is None:
            with self._lock:
                number = len(self._class_numbers) + 1
                if number > MAX_NUMBERED_CLASSES:
                    return (descriptor,)
                number = self._class_numbers.setdefault(exports, number)
        return (number,) if number + CLASS_KNOWN in self._known_classes else (descriptor, number)

    def give_back(self, oids: Iterable[int]) -> None:
        """Take back the receipts of a message that was not sent."""
        gone: List[Value] = []
        with self._lock:
            for oid in oids:
                self._return(oid, 1, gone)
        # The objects end here, with `gone`.

    def release(self, message: Message) -> None:
        """Take back the receipts that a message of the client returns; called by the thread that reads.

        An interrupt may let the same message come twice, one right after the other.
        """
        releases = message.releases
        # At once: the answer to the call that comes with them gives the numbers.
        if self.note_known_classes(releases) < len(releases):
            # One C call: the thread is started or it is not.
            _thread.start_new_thread(self._release, (releases,))

    def note_known_classes(self, releases: Releases) -> int:
        """Note the classes that releases say the client knows; return how many they are."""
        known = [number for number, _ in releases if number >= CLASS_KNOWN]
        self._known_classes.update(known)
        return len(known)

    def _release(self, releases: Releases) -> None:
        gone: List[Value] = []
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

    def _return(self, oid: int, receipts: int, gone: List[Value]) -> None:
        """Take back receipts for an object; one that is dropped is added to ``gone``."""
        entry = self._entries.get(oid)
        if entry is None:
            return
        entry.receipts -= receipts
        if entry.receipts <= 0:
            del self._entries[oid]
            del self._known[id(entry.value)]
            gone.append(entry.value)
