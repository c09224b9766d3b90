"""Packing exceptions, with all that Python imports for a stack trace: to be imported by `_late.load`."""

from __future__ import annotations

from easycluster_protocol._values.failures import pack_exception

__all__ = ["pack_exception"]


def _pack_one() -> None:
    """Let `traceback` import here what it puts off until it shows a line."""
    zero = 0
    try:
        repr(1 / zero)
    except ZeroDivisionError as error:
        pack_exception(error, 4, None)


_pack_one()
