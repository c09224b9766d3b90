"""Views of clients and of names whose calls carry options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .proxy_views import View, split_keywords, view_of_proxy
from .remote_names import RemoteName

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


#: The methods of a client that call; all their keywords are options.
_CALLING = ("eval", "execblock", "import_module", "import_modules", "send_request", "update_definitions")


class ClientView(View):
    """A client whose calls carry options."""

    __slots__ = ()

    def call(self, func: str | Callable[..., Value], /, *args: Value, **kwargs: Value) -> Value:
        """See `Client.call`."""
        own, options = split_keywords(kwargs, self._easycluster_options)
        return self._easycluster_target.raw_call(func, args, own, **options)

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
        return view_of_proxy(self._easycluster_target.get_root(), self._easycluster_options)

    def __getattr__(self, name: str) -> Value:
        options = self._easycluster_options
        value = getattr(self._easycluster_target, name)
        if isinstance(value, RemoteName):
            return NameView(value, options)
        if name in _CALLING:

            def call(*args: Value, **own: Value) -> Value:
                return value(*args, **{**options, **own})

            return call
        return value

    def __setattr__(self, name: str, value: Value) -> None:
        setattr(self._easycluster_target, name, value)


class NameView(View):
    """A dotted name on a server, whose calls carry options; see `RemoteName`."""

    __slots__ = ()

    def __call__(self, /, *args: Value, **kwargs: Value) -> Value:
        name: RemoteName = self._easycluster_target
        own, options = split_keywords(kwargs, self._easycluster_options)
        return name._easycluster_client.raw_call(name._easycluster_path, args, own, **options)

    def __getattr__(self, name: str) -> Value:
        target: RemoteName = self._easycluster_target
        options = self._easycluster_options
        if name == "value":
            return _operate(target, "get_value", (target._easycluster_path,), options)
        return NameView(getattr(target, name), options)

    def __setattr__(self, name: str, value: Value) -> None:
        target: RemoteName = self._easycluster_target
        if name != "value":
            setattr(target, name, value)  # which explains itself
        # An assignment has no response to return, so its errors would get lost.
        options = {**self._easycluster_options, "nonblocking": False}
        _operate(target, "set_value", (target._easycluster_path, value), options)


def _operate(name: RemoteName, operation: str, args: tuple[Value, ...], options: dict[str, Value]) -> Value:
    return name._easycluster_client._easycluster_calls.operation(operation, args, options)
