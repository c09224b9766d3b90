"""Results that can only go by value, which takes cloudpickle: the server keeps them until the client has sent
it.

The first answer holds a `LateResult` with nothing but a number. The client sends cloudpickle, and asks for
the result by its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Tuple

from easycluster_protocol._pickling import loads

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Buffer, Value

#: How a pickle of protocol 4 or 5 names `LateResult`, after a few bytes at its beginning.
_MARK = __name__.encode() + b"\x94\x8c\nLateResult\x94\x93"
_MAX_BYTES_BEFORE = 16


class LateResult:
    """A result that is to be asked for.

    Args:
        oid: its number among the objects of the server.
    """

    def __init__(self, oid: int) -> None:
        self.oid = oid

    def __reduce__(self) -> Tuple[Callable[[int], LateResult], Args]:
        return LateResult, (self.oid,)


class KeptResult:
    """A result that the server keeps.

    Args:
        name: the function that returned it, for messages.
        value: the result.
        is_raised: whether it is an exception that was raised, of which text will do where it cannot be sent.
        device_memory: whether it may hold values in the memory of devices.
    """

    def __init__(self, name: str, value: Value, is_raised: bool = False, device_memory: bool = False) -> None:
        self.name = name
        self.value = value
        self.is_raised = is_raised
        self.device_memory = device_memory


def find_late_result(body: Buffer) -> Optional[LateResult]:
    """Return the late result that is the body of an answer, or None; nothing else is unpickled."""
    if _MARK not in bytes(body[: _MAX_BYTES_BEFORE + len(_MARK)]):
        return None
    value = loads(body)
    return value if type(value) is LateResult else None
