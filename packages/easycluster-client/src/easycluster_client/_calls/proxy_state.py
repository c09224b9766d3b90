"""The state of a proxy, and the calls that a proxy makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from easycluster_client._session.references import References
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import DefaultRemoteProxy
from easycluster_protocol._values.serialize import get_text
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectionLost, RemoteException

from .documentation import find_class, get_docstring, list_attributes
from .keywords import NO_OPTIONS, parse_options

if TYPE_CHECKING:
    from easycluster_client._session.session import ClientSession
    from easycluster_protocol._types import Args, Kwargs, Value

    from .owner import Calls, Owner


class ProxyState:
    """The state of a proxy: its connection, its object, and the calls that it makes.

    It is the only undocumented attribute of a proxy that other classes use: every other name belongs to the
    server object.

    Args:
        calls: makes the calls of the client.
        references: the references of the connection on which the object was named.
        oid: the number of the object.

    Attributes:
        class_name: the full name of the object's class; "" where only the class of the proxy is known.
    """

    __slots__ = ("_cache", "_calls", "class_name", "oid", "references")

    #: Checks the options of methods that are the proxy's own.
    parse_options = staticmethod(parse_options)

    def __init__(self, calls: Calls, references: References, oid: int) -> None:
        self._calls = calls
        self.references = references
        self.oid = oid
        self.class_name = ""
        self._cache: dict[str, Value] | None = None

    @property
    def client(self) -> Owner | None:
        """The client; None: the connection has ended."""
        return None if self.references.has_ended else self._calls.client

    @property
    def peername(self) -> str:
        """The name of the server."""
        return self.session.peername

    @property
    def documentation(self) -> str | None:
        """The docstring of the object's class, None if that is not known here."""
        found = find_class(self.class_name)
        return None if found is None else get_docstring(found)

    def list_attributes(self, proxy: RemoteProxy) -> list[str]:
        """Return the attributes that the object's class names, for proxies that forward any attribute."""
        found = find_class(self.class_name) if isinstance(proxy, DefaultRemoteProxy) else None
        return [] if found is None else list_attributes(found)

    @property
    def cache(self) -> dict[str, Value]:
        """The values of attributes that do not change."""
        if self._cache is None:
            self._cache = {}
        return self._cache

    @property
    def session(self) -> ClientSession:
        """The connection on which the object was named."""
        return cast("ClientSession", self.references.session)  # for references a session has less

    def current_calls(self) -> Calls:
        """Return the maker of the client's calls.

        Raises:
            ConnectionLost: the connection of this proxy has ended, or the client has another one.
        """
        self.references.check_current()
        return self._calls

    def call(self, name: str, args: Args, kwargs: Kwargs) -> Value:
        """Call a method; ``kwargs`` may contain options."""
        __tracebackhide__ = True
        if not kwargs:
            return self.invoke(name, args, kwargs, NO_OPTIONS)
        return self.current_calls().request(m.INVOKE, (self.oid, name, args), kwargs, name, self.session)

    def invoke(self, name: str, args: Args, kwargs: Kwargs, options: Mapping[str, Value]) -> Value:
        """Call a method; all ``kwargs`` are arguments of the method."""
        __tracebackhide__ = True
        return self.current_calls().invoke(self.oid, name, args, kwargs, options, self.session)

    def operation(self, name: str, args: Args, options: Mapping[str, Value] | None = None) -> Value:
        """Call an operation of the server's root object."""
        return self.current_calls().operation(name, args, options, self.session)

    def get_item(self, index: int, options: Mapping[str, Value]) -> Value:
        """Return an item of an object that is iterated over by its items. The IndexError that ends the
        iteration is not printed as an exception."""
        return self._ask(
            lambda settings: self.invoke("__getitem__", (index,), {}, settings),
            options,
            lambda error: isinstance(error, IndexError),
        )

    def get_attribute(
        self, proxy: RemoteProxy, name: str, options: Mapping[str, Value] = NO_OPTIONS
    ) -> Value:
        """Return an attribute. A missing one is not printed as an exception, so that ``hasattr`` is quiet;
        the error of a property that misses another attribute is."""
        return self._ask(
            lambda settings: self.operation("get_attribute", (proxy, name), settings),
            options,
            lambda error: isinstance(error, AttributeError) and _find_missing_name(error) in ("", name),
        )

    def leave(self, leave: Callable[[], Value], error: Args) -> Value:
        """Make the call that ends a ``with`` block, unless the script knows that the connection has ended:
        then nothing is left to end on the host.

        Args:
            leave: makes the call.
            error: the arguments of ``__exit__``; the exception that has left the block goes before the loss
                of the connection.

        Raises:
            ConnectionLost: the connection has ended, the script has not been told so, and no exception has
                left the block.
        """
        if self.references.is_end_known:
            return False
        try:
            return leave()
        except ConnectionLost:
            if not self.references.has_ended or all(part is None for part in error):
                raise
            return False

    def _ask(
        self,
        make_call: Callable[[dict[str, Value]], Value],
        options: Mapping[str, Value],
        is_expected: Callable[[BaseException], bool],
    ) -> Value:
        """Make a call that an expected exception may answer, which is not printed.

        Args:
            make_call: makes the call with the options that it is given.
            options: the options of the call.
            is_expected: tells whether an exception is expected.
        """
        origexc = options.get("origexc", True)
        try:
            return make_call({**options, "origexc": False})
        except RemoteException as error:
            if origexc is not None and not origexc:
                raise
            if origexc != "quiet" and not is_expected(error.orig):
                self._calls.client.report_exception(error)
            orig = error.orig
        try:  # out here, and then dropped: errors that hold each other would hold the proxy, too
            raise orig
        finally:
            del orig

    def check_pickling(self, references: References | None) -> None:
        """Make sure that the proxy is being pickled for a call on its own connection.

        Raises:
            TypeError: the proxy is being pickled for another connection, or for something else than a call.
        """
        if references is self.references:
            return
        if self.client is None:
            reason = f"the connection to {self.peername} on which it was given has ended"
        elif references is None:
            reason = f"the object stays on {self.peername}; pass it to calls of its own connection"
        else:
            reason = f"the object is on {self.peername}, and only calls there can use it"
        if references is None:
            name = self.class_name.rpartition(".")[2] or "RemoteProxy"
            raise TypeError(f"<{name} (object {self.oid}) on {self.peername}> cannot be pickled: {reason}")
        raise TypeError(
            f"<RemoteProxy for oid {self.oid} on {self.peername}> cannot be passed"
            f" to {references.session.peername}: {reason}"
        )


def _find_missing_name(error: AttributeError) -> str:
    """Return the name that an error says is missing, "" if it is not one of Python's own."""
    return get_text(error).partition("has no attribute '")[2].partition("'")[0]
