"""The compiled half of `pickle`. Nothing else of it is needed, and importing the rest takes 2 to 5 ms."""

from __future__ import annotations

try:
    from _pickle import Pickler, PicklingError, Unpickler, UnpicklingError, dumps, loads
except ImportError:  # PyPy
    from pickle import Pickler, PicklingError, Unpickler, UnpicklingError, dumps, loads

__all__ = ["Pickler", "PicklingError", "Unpickler", "UnpicklingError", "dumps", "loads"]
