"""Classes of proxies: to derive from; of iterators, generators, files and modules; made on the fly."""

from __future__ import annotations

import itertools
from _io import BytesIO, StringIO, _IOBase  # the base of all files, which `io.IOBase` is not
from functools import lru_cache
from types import GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Optional, Tuple

from .exports import ServerObject, copy_instances, make_server_class, registered_by_name
from .forwarders import ATTRIBUTE, CACHED, ITEMS, METHOD, get_forwarded_kind, raise_missing
from .introspection import is_for_tools, is_tool_asking
from .operators import SWITCHABLE_OPERATORS
from .process_bound import (
    ARRAY_METHODS,
    ATTRIBUTES as PROCESS_BOUND_ATTRIBUTES,
    REFUSED,
    make_refusal,
    make_refusals,
)
from .proxies import RemoteProxy, explain_missing

if TYPE_CHECKING:
    from typing import Type

    from typing_extensions import Self

    from easycluster_protocol._types import Value

    from .exports import Names

#: More names than any class has. They become a class here, which is kept.
_MAX_NAMES = 1 << 14

#: The most characters of the published form of a class's name, which consists of all exported names. Where
#: that is longer, the name is that of the object's class.
_LONGEST_NAME = 200

#: Kind of a forwarded attribute → why it cannot be set.
_WHY_NOT_SET = {
    METHOD: "it is a method",
    REFUSED: "it is a method",
    ITEMS: "it is a method",
    "": "every proxy has it",
}


def _is_local(proxy: RemoteProxy, name: str) -> bool:
    return any(name in vars(base) for base in type(proxy).__mro__) or name in vars(proxy)


class DefaultRemoteProxy(RemoteProxy):
    """A proxy that forwards every attribute that its class does not define, methods included."""

    def __getattr__(self, name: str) -> Any:
        if (
            name.startswith("__")
            or name in PROCESS_BOUND_ATTRIBUTES
            or is_for_tools(name)
            or is_tool_asking(1)
        ):
            raise AttributeError(explain_missing(type(self), name))
        raise_missing(self, name)
        return self._easycluster_state.get_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_local(self, name):
            object.__setattr__(self, name, value)
        else:
            self._easycluster_state.operation("set_attribute", (self, name, value))

    def __delattr__(self, name: str) -> None:
        if _is_local(self, name):
            object.__delattr__(self, name)
        else:
            self._easycluster_state.operation("delete_attribute", (self, name))


class SelfIterProxy(RemoteProxy):
    """A proxy of an iterator: ``iter()`` returns the proxy itself, without asking the server."""

    if TYPE_CHECKING:
        proxy_methods: Names

    proxy_methods = ("__next__",)

    if TYPE_CHECKING:  # novm

        def __next__(self, **options: Any) -> Any: ...

    def __iter__(self) -> Self:
        return self


class RemoteIterator(ServerObject):
    """An iterator over a server object, which stays on the server too."""

    proxy_class = SelfIterProxy

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator

    def __next__(self) -> Any:
        return next(self._iterator)


class GeneratorProxy(SelfIterProxy):
    """A proxy of a generator."""

    proxy_methods = ("__next__", "send", "throw", "close")

    if TYPE_CHECKING:  # novm
        # Every result is a Value, here and below: with `nonblocking=True` among the options it is a response.
        def send(self, value: Value, **options: Value) -> Value: ...
        def throw(self, error: Value, *more: Value, **options: Value) -> Value: ...
        def close(self, **options: Value) -> Value: ...


class FileProxy(SelfIterProxy):
    """A proxy of an open file; iterating over it asks the server for each line."""

    proxy_methods = (
        "__next__",
        "close",
        "detach",
        "flush",
        "getvalue",
        "isatty",
        "peek",
        "read",
        "read1",
        "readable",
        "readall",
        "readline",
        "readlines",
        "seek",
        "seekable",
        "tell",
        "truncate",
        "writable",
        "write",
        "writelines",
    )
    proxy_attrs = ("closed", "encoding", "errors", "line_buffering", "mode", "name", "newlines")

    if TYPE_CHECKING:  # novm
        closed: bool
        encoding: Optional[str]
        errors: Optional[str]
        line_buffering: bool
        mode: str
        name: Value
        newlines: Value

        def close(self, **options: Value) -> Value: ...
        def detach(self, **options: Value) -> Value: ...
        def flush(self, **options: Value) -> Value: ...
        def isatty(self, **options: Value) -> Value: ...
        def peek(self, size: int = ..., **options: Value) -> Value: ...
        def read(self, size: Optional[int] = ..., **options: Value) -> Value: ...
        def read1(self, size: int = ..., **options: Value) -> Value: ...
        def readable(self, **options: Value) -> Value: ...
        def readall(self, **options: Value) -> Value: ...
        def readline(self, size: int = ..., **options: Value) -> Value: ...
        def readlines(self, hint: int = ..., **options: Value) -> Value: ...
        def seek(self, offset: int, whence: int = ..., **options: Value) -> Value: ...
        def seekable(self, **options: Value) -> Value: ...
        def tell(self, **options: Value) -> Value: ...
        def truncate(self, size: Optional[int] = ..., **options: Value) -> Value: ...
        def writable(self, **options: Value) -> Value: ...
        def write(self, data: Value, **options: Value) -> Value: ...
        def writelines(self, lines: Iterable[Value], **options: Value) -> Value: ...

    fileno = make_refusal("fileno")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._easycluster_state.leave(self.close, error)


class ModuleProxy(DefaultRemoteProxy):
    """A proxy of a module."""


class _DynamicProxy(RemoteProxy):
    """Base of classes that are made on the fly: their proxies have the exported names, and no others."""

    def __setattr__(self, name: str, value: Value) -> None:
        if not _is_local(self, name):
            raise AttributeError(explain_missing(type(self), name))
        _set_exported(self, name, value)


class _DynamicDefaultProxy(DefaultRemoteProxy):
    """The same for server objects that export any attribute."""

    def __setattr__(self, name: str, value: Value) -> None:
        if _is_local(self, name):
            _set_exported(self, name, value)
        else:
            DefaultRemoteProxy.__setattr__(self, name, value)


def _set_exported(proxy: RemoteProxy, name: str, value: Value) -> None:
    kind = get_forwarded_kind(type(proxy), name)
    if kind not in (ATTRIBUTE, CACHED):
        reason = _WHY_NOT_SET[kind]
        raise AttributeError(f"{type(proxy).__name__!r} object attribute {name!r} cannot be set: {reason}")
    object.__setattr__(proxy, name, value)


def make_proxy_class(descriptor: Value) -> Type[RemoteProxy]:
    """Return the class of proxies that a server describes.

    Args:
        descriptor: the class, or the names that are exported, see `exports.Descriptor`. It comes from the
            server, so it may be anything.

    Raises:
        TypeError: the description cannot be used.
    """
    if isinstance(descriptor, type) and issubclass(descriptor, RemoteProxy):
        return descriptor
    if type(descriptor) is tuple and 4 <= len(descriptor) <= 7:  # pyright: ignore[reportUnknownArgumentType]
        return _make_dynamic_class(*descriptor)  # pyright: ignore[reportUnknownArgumentType]
    raise TypeError(f"a server object's proxy class must derive from RemoteProxy, not be {descriptor!r:.200}")


def get_class_name(descriptor: Value) -> str:
    """Return the full name of the class of the objects that a server describes, "" if that is not known.

    Args:
        descriptor: see `make_proxy_class`, which has accepted it.
    """
    if isinstance(descriptor, type):
        return ""
    names: Tuple[Value, ...] = descriptor[6:]
    return next((name for name in names if type(name) is str and _is_printable(name)), "")


def _is_printable(name: str) -> bool:
    return name.isprintable() and len(name) <= _LONGEST_NAME


def _check_names(*parts: Value) -> None:
    if any(type(part) is not tuple for part in parts) or sum(map(len, parts)) > _MAX_NAMES:
        raise TypeError(f"a server object exports tuples of {_MAX_NAMES} names at most")
    for part in parts:
        for name in part:
            if type(name) is not str:
                raise TypeError(f"a server object exports names, not a {type(name).__qualname__}")


def _make_dynamic_class(
    methods: Tuple[str, ...],
    attrs: Tuple[str, ...],
    cached: Tuple[str, ...],
    any_attribute: bool,
    refused: Tuple[str, ...] = (),
    switched_off: Tuple[str, ...] = (),
    class_name: str = "",
) -> Type[RemoteProxy]:
    _check_names(methods, attrs, cached, refused, switched_off)
    names = (*sorted({*methods, *refused} - ARRAY_METHODS), *sorted(attrs), *sorted(cached))
    name = "_".join(("dynamic_proxy", *names))
    if len(name) > _LONGEST_NAME and class_name:
        if type(class_name) is not str or not class_name.isprintable():
            raise TypeError(f"a server object cannot have a class named {class_name!r:.200}")
        name = f"Proxy[{class_name[:_LONGEST_NAME]}]"
    return _make_named_class(name, methods, attrs, cached, any_attribute, refused, switched_off)


@lru_cache(maxsize=1024)
def _make_named_class(
    name: str,
    methods: Tuple[str, ...],
    attrs: Tuple[str, ...],
    cached: Tuple[str, ...],
    any_attribute: bool,
    refused: Tuple[str, ...],
    switched_off: Tuple[str, ...],
) -> Type[RemoteProxy]:
    base = _DynamicDefaultProxy if any_attribute else _DynamicProxy
    cls: Type[RemoteProxy] = type(  # pyright: ignore[reportAssignmentType]
        name,
        (base,),
        {
            **make_refusals(refused),
            **dict.fromkeys(SWITCHABLE_OPERATORS.intersection(switched_off)),
            "__module__": __name__,
            "proxy_methods": methods,
            "proxy_attrs": attrs,
            "proxy_attrs_cache": cached,
        },
    )
    return cls


for _class, _proxy_class in (
    (GeneratorType, GeneratorProxy),
    (ModuleType, ModuleProxy),
    (_IOBase, FileProxy),
):
    make_server_class(_class, proxy_class=_proxy_class)

# Iterators that compute each value when it is asked for: copies would call their functions on the master.
# Iterators over values that exist, as that of a list, are copied like the values.
_LAZY = (enumerate, filter, map, reversed, zip, type(iter(int, 1)))
_ITERTOOLS = (value for value in vars(itertools).values() if isinstance(value, type))

for _lazy in (*_LAZY, *(cls for cls in _ITERTOOLS if hasattr(cls, "__next__"))):
    make_server_class(_lazy, proxy_class=SelfIterProxy)

# Files in memory are copied like other values: exceptions may hold them.
copy_instances(BytesIO)
copy_instances(StringIO)

# It does not derive from the base of files, and its pickle cannot be unpickled.
registered_by_name["tempfile", "_TemporaryFileWrapper"] = {"proxy_class": FileProxy}
