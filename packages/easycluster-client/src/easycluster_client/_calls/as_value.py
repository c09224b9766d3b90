"""A response where its value is meant: the error says to call `wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: The special methods by which Python uses values. Responses can be compared and have a truth, as any object
#: has. ``__iter__`` and ``__call__`` are missing, because no response may be an Iterable, nor callable.
_UNARY = (  # noqa: SIM905 -- half as long
    "abs bytes ceil complex delitem float floor fspath ge getitem gt index int invert le len lt neg pos round"
    " setitem trunc"
).split()
_BINARY = "add and divmod floordiv lshift matmul mod mul or pow rshift sub truediv xor".split()  # noqa: SIM905


class NotTheValue:
    """Base of responses: using one as if it were its value is a `TypeError`, and no attribute of the value is
    one of the response."""

    def __bool__(self) -> bool:
        return True  # as it would be without `__len__`

    def __format__(self, spec: str) -> str:
        return _refuse(self) if spec else str(self)

    if not TYPE_CHECKING:  # type checkers are to report attributes that do not exist

        def __getattr__(self, name: str) -> Value:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name[:1] != "_":
                text += ": it is the response of a call, and wait() returns the value"
            raise AttributeError(text, name=name, obj=self)


def _refuse(response: NotTheValue, *_: Value) -> NoReturn:
    raise TypeError(f"{response!r} is the response of a call, not its value: call wait() for the value")


for _name in (*_UNARY, *_BINARY, *(f"r{name}" for name in _BINARY)):
    setattr(NotTheValue, f"__{_name}__", _refuse)
