"""How a block of code that was sent to `Client.execblock` returns a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


class ExecReturn(BaseException):
    """Carries the value out of the block; no ``except Exception`` in the block stops it."""

    def __init__(self, value: Value) -> None:
        super().__init__(value)
        self.value = value


def exec_return(value: Any = None) -> NoReturn:
    """End the code that was sent to `Client.execblock`, which then returns ``value``."""
    raise ExecReturn(value)
