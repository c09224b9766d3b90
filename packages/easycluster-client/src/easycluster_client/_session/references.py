"""References to the server objects that a connection has named to this client: the proxies of these objects,
and the receipts to give back.

Each answer that names an object is a receipt for it. The receipts of an object are given back when its proxy
is gone; those of an answer that was never unpickled, or could not be, when the answer is gone. Proxies and
answers may be dropped by a finaliser, in any thread and at any moment. So all that happens then is one C
call, ``garbage.append``; a `ThreadedClient` also wakes its background thread. The next message on the
connection takes the receipts in `garbage` along.
"""

from __future__ import annotations

import threading
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from easycluster_protocol._limits import MAX_TABLE_ENTRIES
from easycluster_protocol._objects.exports import CLASS_KNOWN, MAX_NUMBERED_CLASSES
from easycluster_protocol._objects.proxies import RemoteProxy, context
from easycluster_protocol._objects.proxy_classes import get_class_name, make_proxy_class
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallNotSent, ConnectionLost

from .losses import CLOSED, new_loss

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

_Loaded = TypeVar("_Loaded")


class NamedSession(Protocol):
    """A session, as far as references are concerned.

    Attributes:
        peername: the server's name.
    """

    peername: str

    @property
    def error(self) -> ConnectionLost | None:
        """Why the connection ended, or None while it is open."""

    @property
    def has_reported_end(self) -> bool:
        """Whether the script has got an error for the end of the connection, or has closed it."""
        ...


class Maker(Protocol):
    """The maker of a client's calls, as far as references are concerned."""

    @property
    def session(self) -> NamedSession | None:
        """The connection that the client has at present."""

    @property
    def client(self) -> object:
        """The client."""

    def renew_locks(self) -> None:
        """Replace the locks in a forked process: threads that do not exist there may hold the old ones."""

    def new_proxy_state(self, oid: int, references: References) -> object:
        """Return the state of a new proxy."""

    def describe_proxy(self, proxy: RemoteProxy, class_name: str) -> None:
        """Tell a new proxy the full name of the class of its object."""


class _ProxyReference(weakref.ref[RemoteProxy]):
    """Stands for a proxy in `References._live`, and in `References.garbage` when the proxy is gone."""

    __slots__ = ("oid", "receipts")

    #: Set last: a reference that an interrupt left without it stands for nothing yet.
    oid: int
    receipts: int


#: Receipts to give back: the reference of a proxy that is gone, or the numbers of objects, one per receipt.
Garbage = _ProxyReference | Sequence[int]


class _Receipts:
    """The receipts of one answer until it has been unpickled. The receipts that remain are given back."""

    #: In the class: an interrupt may come before `__init__` has begun.
    is_armed = False

    def __init__(self, drop: Callable[[Garbage], None], oids: Sequence[int]) -> None:
        self._give_back = drop
        self.oids = oids

    def __del__(self) -> None:
        if self.is_armed and self.oids:
            self._give_back(self.oids)


class References:
    """The proxies of one connection.

    Args:
        session: the connection.

    Attributes:
        maker: makes the calls of the client.
        garbage: the receipts to give back.
    """

    maker: Maker

    def __init__(self, session: NamedSession) -> None:
        self.session = session
        self.garbage: deque[Garbage] = deque()
        #: Finalisers call this.
        self.drop: Callable[[Garbage], None] = self.garbage.append
        # A signal handler may unpickle an answer in the middle of another.
        self._lock = threading.RLock()
        self._live: dict[int, _ProxyReference] = {}
        #: The classes of proxies, and the names of their objects' classes, by the numbers of descriptions.
        self._classes: dict[int, tuple[type[RemoteProxy], str]] = {}
        #: The numbers of the latest calls whose answers were noted.
        self._noted: deque[int] = deque(maxlen=16)
        #: For calls whose answer has not come yet, the objects that the messages ahead of the answer named.
        self._ahead: dict[int, array[int]] = {}

    def renew_locks(self) -> None:
        """See `Maker.renew_locks`."""
        self._lock = threading.RLock()
        maker: Maker | None = vars(self).get("maker")
        if maker is not None:
            maker.renew_locks()

    @property
    def has_ended(self) -> bool:
        """Whether this connection has ended, or the client has another one."""
        return self.maker.session is not self.session or self.session.error is not None

    @property
    def is_end_known(self) -> bool:
        """Whether this connection has ended and the script knows it, by an error or because it ended it."""
        return self.maker.session is not self.session or self.session.has_reported_end

    def check_current(self) -> None:
        """Make sure that the client still has this connection.

        Raises:
            CallNotSent: it has ended, or the client has another one.
        """
        if self.maker.session is not self.session:
            first = self.session.error
            raise new_loss(
                CallNotSent,
                f"the connection to {self.session.peername} on which this object was given has ended;"
                " ask the server for the object again",
                CLOSED if first is None else first.reason,
                self.session.peername,
            )

    def find_proxy(self, oid: int, descriptor: Value, number: Value = 0) -> RemoteProxy:
        """Return the proxy of an object, which is made unless there is one.

        Args:
            oid: the number of the object.
            descriptor: see `proxies.find_proxy`.
            number: the number of the description, see there.

        Raises:
            TypeError: no such proxy can be made.
        """
        with self._lock:
            if number:
                self._learn(number, descriptor)
            found = self.find_live_proxy(oid)
            if found is not None:
                return found
            cls, class_name = self._find_class(descriptor)
            proxy: RemoteProxy = cls.__new__(cls)
            object.__setattr__(proxy, "_easycluster_state", self.maker.new_proxy_state(oid, self))
            if class_name:
                self.maker.describe_proxy(proxy, class_name)
            reference = _ProxyReference(proxy, self.drop)
            reference.receipts = self._take_receipts(oid)
            reference.oid = oid
            self._live[oid] = reference
        if cls.__init__ is not RemoteProxy.__init__:
            try:
                # Without the lock: this is the user's code, which may make calls.
                cls.__init__(proxy, self.maker.client, oid)
            except BaseException:
                with self._lock:  # the next answer that names the object tries again
                    if self._live.get(oid) is reference:
                        del self._live[oid]
                raise
        return proxy

    def _learn(self, number: Value, descriptor: Value) -> None:
        """Note the class that the server describes under a number, and tell the server that it is known.

        Every description is confirmed, however often it comes: an interrupt may have lost the confirmation.
        """
        if type(number) is not int or not 1 <= number <= MAX_NUMBERED_CLASSES:
            raise TypeError(f"the number of a server object's class cannot be {number!s:.50}")
        self._classes[number] = make_proxy_class(descriptor), get_class_name(descriptor)
        self.garbage.append((CLASS_KNOWN + number,))

    def _find_class(self, descriptor: Value) -> tuple[type[RemoteProxy], str]:
        if type(descriptor) is not int:
            return make_proxy_class(descriptor), get_class_name(descriptor)
        described = self._classes.get(descriptor)
        if described is None:
            raise TypeError(f"the server has not described class {descriptor} of its objects")
        return described

    def _take_receipts(self, oid: int) -> int:
        """Take over the receipts of an earlier proxy that is gone, as far as they have not been given back.

        That proxy may have come from the same answer: an interrupt lost its value, which is unpickled again.
        """
        gone = self._live.get(oid)
        if gone is None:
            return 0
        # In this order: an interrupt in between keeps an object that could be dropped.
        receipts, gone.receipts = gone.receipts, 0
        return receipts

    def find_live_proxy(self, oid: int) -> RemoteProxy | None:
        """Return the proxy of an object, or None if there is none."""
        reference = self._live.get(oid)
        return None if reference is None else reference()

    def note(self, message: Message) -> None:
        """Note the receipts of an answer that has arrived; after an interrupt this may be called again."""
        if message.receipts is None:
            # A server that was interrupted sends its answer a second time, directly after the first. It has
            # counted one receipt, and giving back two would drop objects that are in use.
            if message.request in self._noted:
                return
            more = dict.fromkeys(self._ahead.get(message.request, ()))
            message.receipts = _Receipts(self.drop, [*more, *message.references])
        # Only now: receipts that an interrupt lost before they were in the message must not be given back.
        message.receipts.is_armed = True
        self._noted.append(message.request)
        self._ahead.pop(message.request, None)

    def note_ahead(self, message: Message) -> None:
        """Note the numbers of objects that do not fit the table of the answer which follows."""
        if message.request not in self._noted:  # else the answer has come already and is being repeated
            # No more memory than the numbers took in the message. They may come twice, see `note`.
            self._ahead.setdefault(message.request, array("Q")).extend(message.references)

    def load_answer(self, message: Message, load: Callable[[], _Loaded]) -> _Loaded:
        """Return the value of an answer that names server objects.

        Args:
            message: the answer.
            load: unpickles the value.
        """
        before = getattr(context, "answering", None)
        context.answering = self
        try:
            return load()
        finally:
            context.answering = before
            # Here the value still holds the proxies.
            self._count(message.receipts)

    def _count(self, receipts: _Receipts) -> None:
        """Count the receipts of an answer that has been unpickled, or could not be."""
        with self._lock:
            # First of all: an interrupt in here keeps objects that could be dropped, and drops none in use.
            oids, receipts.oids = receipts.oids, ()
            left: list[int] = []
            for oid in oids:
                reference = self._live.get(oid)
                proxy = None if reference is None else reference()
                if reference is None or proxy is None:
                    left.append(oid)
                else:
                    reference.receipts += 1
            receipts.oids = left

    def keep_releases(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Keep receipts for later: the message that was to take them along was not sent."""
        for oid, receipts in pairs:
            self.garbage.append([oid] * receipts)

    def take_releases(self, limit: int = MAX_TABLE_ENTRIES) -> list[tuple[int, int]]:
        """Return the receipts to give back now, as pairs of an object's number and a number of receipts, and
        forget them.

        Args:
            limit: the greatest number of objects.
        """
        given_back: dict[int, int] = {}
        with self._lock:
            while self.garbage and len(given_back) < limit:
                dropped = self.garbage.popleft()
                if isinstance(dropped, _ProxyReference):
                    if not hasattr(dropped, "oid"):
                        continue
                    if self._live.get(dropped.oid) is dropped:
                        del self._live[dropped.oid]
                    given_back[dropped.oid] = given_back.get(dropped.oid, 0) + dropped.receipts
                else:
                    room = limit - len(given_back)
                    for oid in dropped[:room]:
                        given_back[oid] = given_back.get(oid, 0) + 1
                    if len(dropped) > room:
                        self.garbage.append(dropped[room:])
        return [(oid, receipts) for oid, receipts in given_back.items() if receipts]
