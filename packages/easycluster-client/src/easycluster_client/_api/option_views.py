"""Views of clients and of remote names, whose calls carry options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from easycluster_protocol._types import Value

from .documented import of_instance
from .proxy_views import View, make_proxy_view, split_keywords
from .remote_names import RemoteName
from .used_as_value import NotAValue

#: The methods of a client that make calls, and whose keywords are all options.
_CALL_METHODS = ("eval", "execblock", "import_module", "import_modules", "send_request", "update_definitions")


class ClientView(View):
    """A client whose calls carry options."""

    __slots__ = ()

    def __dir__(self) -> Iterable[str]:
        return dir(self._easycluster_target)

    def call(self, func: str | Callable[..., Value], /, *args: Value, **kwargs: Value) -> Value:
        """See `Client.call`."""
        function_kwargs, options = split_keywords(kwargs, self._easycluster_options)
        return self._easycluster_target.raw_call(func, args, function_kwargs, **options)

    def raw_call(
        self,
        name: str | Callable[..., Value],
        args: Iterable[Value],
        kwargs: dict[str, Value] | None = None,
        **options: Value,
    ) -> Value:
        """See `Client.raw_call`."""
        return self._easycluster_target.raw_call(
            name, args, kwargs, **{**self._easycluster_options, **options}
        )

    def get_root(self) -> Value:
        """See `Connection.get_root`."""
        return make_proxy_view(self._easycluster_target.get_root(), self._easycluster_options)

    def __getattr__(self, name: str) -> Value:
        options = self._easycluster_options
        value = getattr(self._easycluster_target, name)
        if isinstance(value, RemoteName):
            return NameView(value, options)
        if name in _CALL_METHODS:

            def call(*args: Value, **call_options: Value) -> Value:
                return value(*args, **{**options, **call_options})

            return call
        return value

    def __setattr__(self, name: str, value: Value) -> None:
        setattr(self._easycluster_target, name, value)


class NameView(View, NotAValue):
    """A dotted name on a server, whose calls carry options; see `RemoteName`."""

    __slots__ = ()

    __doc__ = of_instance(lambda view: view._easycluster_target.__doc__, __doc__)
    __signature__ = of_instance(lambda view: view._easycluster_target.__signature__)
    __wrapped__ = of_instance(lambda view: view._easycluster_target.__wrapped__)

    def __dir__(self) -> Iterable[str]:
        return dir(self._easycluster_target)

    def _easycluster_get_path(self) -> str:
        target: RemoteName = self._easycluster_target
        return target._easycluster_path

    def __call__(self, /, *args: Value, **kwargs: Value) -> Value:
        __tracebackhide__ = True
        name: RemoteName = self._easycluster_target
        function_kwargs, options = split_keywords(kwargs, self._easycluster_options)
        return name._easycluster_client.raw_call(name._easycluster_path, args, function_kwargs, **options)

    def __getattr__(self, name: str) -> Value:
        target: RemoteName = self._easycluster_target
        options = self._easycluster_options
        if name == "value":
            return _call_operation(target, "get_value", (target._easycluster_path,), options)
        return NameView(getattr(target, name), options)

    def __setattr__(self, name: str, value: Value) -> None:
        target: RemoteName = self._easycluster_target
        if name != "value":
            setattr(target, name, value)  # which raises an error that explains itself
        # An assignment cannot return a response, so its errors would get lost.
        options = {**self._easycluster_options, "nonblocking": False}
        _call_operation(target, "set_value", (target._easycluster_path, value), options)


def _call_operation(
    name: RemoteName, operation: str, args: tuple[Value, ...], options: dict[str, Value]
) -> Value:
    return name._easycluster_client._easycluster_calls.operation(operation, args, options)


class TargetViews:
    """Several clients or proxies, whose calls carry options: for `call_multi` and its kin.

    Args:
        views: the view of each.
        returns_errors: whether errors are returned with the results, and not raised.
    """

    def __init__(self, views: Iterable[Value], returns_errors: bool) -> None:
        self._views = tuple(views)
        self.returns_errors = returns_errors

    def __iter__(self) -> Iterator[Value]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)
