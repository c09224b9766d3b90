"""Proxies without a connection, which note what they would ask their server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from easycluster_client._calls.keywords import parse_options
from easycluster_protocol._objects import proxies
from easycluster_protocol._objects.proxy_classes import make_proxy_class

#: How a server describes a proxy.
NAMES = (("__add__", "method"), ("val",), ("constant",), False)


class State:
    """Stands for the part of a proxy that knows the connection; notes what would be sent."""

    peername = "host:1"
    class_name = ""
    documentation: str | None = None
    parse_options = staticmethod(parse_options)

    def __init__(self, oid: int) -> None:
        self.oid = oid
        self.client: Any = None
        self.cache: dict[str, Any] = {}
        self.sent: list[Any] = []
        self.answer: Any = "answer"

    def call(self, name: str, args: Any, kwargs: Any) -> Any:
        self.sent.append((name, args, kwargs))
        return self.answer

    def invoke(self, name: str, args: Any, kwargs: Any, options: Any) -> Any:
        self.sent.append((name, args, kwargs, options))
        return self.answer

    def operation(self, name: str, args: Any, options: Any = None) -> Any:
        self.sent.append((name, args[1:], options))
        return self.answer

    def get_attribute(self, proxy: Any, name: str, options: Any = None) -> Any:
        self.sent.append(("get", name) if options is None else ("get", name, options))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def get_item(self, index: int, options: Any) -> Any:
        self.sent.append(("item", index, options))
        if index > 1:
            raise IndexError(index)
        return index

    def list_attributes(self, proxy: Any) -> list[str]:
        return ["annotated"]

    def leave(self, leave: Any, error: Any) -> Any:
        return leave()

    def check_pickling(self, references: Any) -> None:
        if references is None:
            raise TypeError("outside of a call")


class References:
    """Stands for what makes the proxies of a connection."""

    def __init__(self) -> None:
        self.live: dict[int, Any] = {}

    def find_proxy(self, oid: int, descriptor: Any, number: Any = 0) -> Any:
        return self.live.setdefault(oid, make(descriptor, oid))


def make(descriptor: Any, oid: int = 7) -> Any:
    """Make a proxy as a server describes it."""
    kind = make_proxy_class(descriptor)
    proxy = kind.__new__(kind)
    object.__setattr__(proxy, "_easycluster_state", State(oid))
    return proxy


def sent(proxy: Any) -> list[Any]:
    """What the proxy has asked its server, as far as that is known here."""
    found: list[Any] = object.__getattribute__(proxy, "_easycluster_state").sent
    return found


class Numbers:
    """Stands for the table of a server."""

    def __init__(self) -> None:
        self.given_back: list[int] = []

    def add(self, value: Any, listed: dict[int, None]) -> int:
        listed[8] = None
        return 8

    def describe(self, exports: Any) -> Any:
        return (exports.descriptor,)

    def get(self, oid: int) -> Any:
        raise ReferenceError(oid)

    def give_back(self, listed: dict[int, None]) -> None:
        self.given_back.extend(listed)


@contextmanager
def answering(references: References | None = None) -> Iterator[None]:
    """Inside, an answer of a server is being unpickled."""
    proxies.context.answering = references or References()
    try:
        yield
    finally:
        proxies.context.answering = None
