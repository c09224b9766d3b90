"""Methods whose answer means something only in the process that gives it: a descriptor, a path, an address.

Local code would take such an answer for one of its own, and read or overwrite a file, or memory, that has
nothing to do with the object on the host. So proxies refuse these methods, unless the class of the object
names them among its exports. Functions on the host get the object itself, and use them as always.
"""

from __future__ import annotations

from _io import UnsupportedOperation
from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, Iterable, NoReturn, Optional, Tuple, Type

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    #: A method of a class of proxies.
    Refusal = Callable[..., NoReturn]

#: The kind of attributes of proxies that refuse, see `forwarders.get_forwarded_kind`.
REFUSED = "refused method"

_NUMBER = (
    "its number belongs to the process there, and is another file here, or none. Read and write by the "
    "proxy, or pass the proxy itself to functions on the host, as in host.os.fsync(file)"
)
_PATH = (
    "its path is that of a file there, not of one here. Pass the proxy itself to functions on the host, "
    "as in host.open(path)"
)
_ADDRESS = "its address is in the memory of the process there. Pass the proxy itself to functions on the host"

#: Method → the class of the error that it raises on a proxy, and the reason.
_REASONS: Dict[str, Tuple[Type[Exception], str]] = {
    "fileno": (UnsupportedOperation, _NUMBER),  # as files in memory: libraries then use read() and write()
    "detach": (UnsupportedOperation, _NUMBER),
    "share": (UnsupportedOperation, _NUMBER),
    "__fspath__": (TypeError, _PATH),
    "data_ptr": (TypeError, _ADDRESS),
    "buffer_info": (TypeError, _ADDRESS),
}

#: Methods and attributes by which libraries get at the memory of arrays. A proxy of a class that has one of
#: them, or of a sequence, would be copied by them in silence, with one call for each element.
_ARRAY_PROTOCOLS = (
    "__array__",
    "__array_interface__",
    "__arrow_c_array__",
    "__arrow_c_stream__",
    "__buffer__",
    "__cuda_array_interface__",
    "__dlpack__",
)

#: What proxies of arrays and sequences refuse in their place: libraries look for these.
ARRAY_METHODS = frozenset(("__array__", "__arrow_array__", "__dlpack__", "__dlpack_device__"))

#: Methods of a proxy → how they copy the object to this process in one call.
_COPIES = (
    (("cpu", "numpy"), ".cpu().numpy()"),  # PyTorch
    (("to_numpy",), ".to_numpy()"),  # pandas, Arrow
    (("tolist",), ".tolist()"),  # NumPy, `array`
)

#: Attributes that mean a pointer or handle to local code, as to `ctypes`.
ATTRIBUTES = frozenset(("_as_parameter_",))

#: Methods of sockets alone: files have a `detach` that returns an object.
_OF_SOCKETS = frozenset(("detach", "share"))


def find_refused(cls: type, methods: FrozenSet[str]) -> FrozenSet[str]:
    """Return the methods that the proxies of a class refuse, of those that it does not name itself.

    Args:
        cls: the class of the objects.
        methods: the methods that it defines.
    """
    refused = methods & _REASONS.keys()
    is_socket = any((base.__module__, base.__qualname__) == ("_socket", "socket") for base in cls.__mro__)
    return refused if is_socket else refused - _OF_SOCKETS


def find_array_protocols(cls: type) -> FrozenSet[str]:
    """Return the methods that the proxies of a class refuse if its objects are arrays to some library."""
    has_protocol = any(name in vars(base) for base in cls.__mro__ for name in _ARRAY_PROTOCOLS)
    return ARRAY_METHODS if has_protocol else frozenset()


def make_refusals(names: Iterable[str]) -> Dict[str, Optional[Refusal]]:
    """Return the attributes of proxies that refuse; names that only a later version knows are left out."""
    refusals: Dict[str, Optional[Refusal]] = {
        name: make_refusal(name) for name in names if name in _REASONS or name in ARRAY_METHODS
    }
    if "__array__" in refusals:
        refusals["__array_ufunc__"] = None  # operators of NumPy leave the operation to the proxy
    return refusals


def make_array_refusals() -> Dict[str, Optional[Refusal]]:
    """Return what proxies of sequences have for libraries that would copy them in silence."""
    return make_refusals(ARRAY_METHODS)


def make_refusal(name: str) -> Refusal:
    """Return a method of proxies that refuses."""

    def refuse(self: Value, *args: Value, **kwargs: Value) -> NoReturn:  # noqa: ARG001
        raise explain_refusal(self, name)

    made: Any = refuse
    made.__name__ = made.__qualname__ = name
    made._easycluster_kind = REFUSED  # see `forwarders.get_forwarded_kind`
    return refuse


def explain_refusal(proxy: Any, name: str) -> Exception:
    """Return the error for a method that a proxy refuses."""
    state = proxy._easycluster_state  # not its `repr`, which may be a call
    if name in ARRAY_METHODS:
        names = dir(proxy)  # which asks nobody
        how = [text for methods, text in _COPIES if all(each in names for each in methods)]
        copy = f"value{how[0]}" if how else "host.call(list, value)"
        return TypeError(
            f"{name}() of object {state.oid} on {state.peername}: an array or sequence that stays there is"
            f" not copied in silence. Copy it by {copy}, or let a function on the host do the work"
        )
    error, reason = _REASONS[name]
    return error(
        f"{name}() of object {state.oid} on {state.peername}: {reason}; "
        f"raw_call_method({name!r}, ()) returns its answer there"
    )
