"""Methods of server objects as values: attributes of proxies, results, and arguments of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

from .forwarders import METHOD, get_forwarded_kind
from .process_bound import REFUSED, explain_refusal
from .proxies import RemoteProxy

if TYPE_CHECKING:  # novm
    from types import BuiltinMethodType, MethodType
    from typing import Union

    from easycluster_protocol._types import Args, Value

    #: A function and its arguments, as `__reduce__` returns them.
    Reduced = Tuple[Callable[..., Value], Args]


class _Method:
    """A method of a server object: on the client as an attribute of the proxy, on the server as a result."""

    def __init__(self, owner: Any, name: str) -> None:
        self.__self__ = owner
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<method {self.__name__} of {self.__self__!r}>"


class ProxyMethod(_Method):
    """A method that the proxy forwards."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__self__._easycluster_state.call(self.__name__, args, kwargs)

    def __reduce__(self) -> Reduced:
        return find_method, (self.__self__, self.__name__)


class RefusedMethod(_Method):
    """A method that its proxy refuses to call, see `process_bound`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise explain_refusal(self.__self__, self.__name__)

    def __reduce__(self) -> Reduced:
        return find_refused_method, (self.__self__, self.__name__)


def find_method(owner: Value, name: str) -> Value:
    """Return a method of a server object: on the client one of its proxy, on the server one of the object."""
    return ProxyMethod(owner, name) if isinstance(owner, RemoteProxy) else getattr(owner, name)


def find_refused_method(owner: Value, name: str) -> Value:
    """Return a method of a server object as `find_method` does, for a proxy that refuses to call it."""
    return RefusedMethod(owner, name) if isinstance(owner, RemoteProxy) else getattr(owner, name)


def reduce_method(method: Union[MethodType, BuiltinMethodType]) -> Optional[Reduced]:
    """Return how a bound method is pickled that a proxy forwards; None for any other."""
    owner = method.__self__
    if isinstance(owner, RemoteProxy):  # only then: what others are bound to may have no name
        name = method.__name__
        if get_forwarded_kind(type(owner), name) in (METHOD, REFUSED):
            return find_method, (owner, name)
    return None
