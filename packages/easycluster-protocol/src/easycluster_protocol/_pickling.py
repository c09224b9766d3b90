"""The compiled half of `pickle`, all that is needed of it: importing the other half takes 2 to 5 ms."""

from __future__ import annotations

import sys

try:
    from _pickle import Pickler, PicklingError, Unpickler, UnpicklingError, dumps, loads
except ImportError:  # PyPy
    from pickle import Pickler, PicklingError, Unpickler, UnpicklingError, dumps, loads

__all__ = ["HIGHEST_PROTOCOL", "Pickler", "PicklingError", "Unpickler", "UnpicklingError", "dumps", "loads"]

HIGHEST_PROTOCOL = 5 if sys.version_info >= (3, 8) else 4
