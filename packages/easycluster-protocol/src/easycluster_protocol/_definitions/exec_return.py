"""How a block of code that was sent to `Client.execblock` gives a value back."""

from __future__ import annotations

from typing import Any, NoReturn


class ExecReturn(BaseException):
    """Carries the value out of the block; no ``except Exception`` of the block stops it."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


def exec_return(value: Any = None) -> NoReturn:
    """End the code that was sent to `Client.execblock`, which then returns ``value``."""
    raise ExecReturn(value)
