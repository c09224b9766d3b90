"""What goes back by value: results and exceptions whose classes and functions came by value.

Cloudpickle does it, but for two things. A class that the receiver has stays there as it is: cloudpickle
would set all its attributes, so that the methods of the master's own class became copies with other
globals. And code says which Python compiled it: another one could crash on it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from types import CodeType
from typing import Any, Set

from ._object_pickle import name_object
from ._proxies import find_proxy

#: The ids of classes that are being rebuilt here and were not here before.
_new: Set[str] = set()

_TAG = sys.implementation.cache_tag


def make_dumps(cloudpickle: Any) -> Any:
    """Return what takes the place of `pickle.dumps`, or None while ``cloudpickle`` is being imported."""
    kind = getattr(cloudpickle, "Pickler", None)
    if hasattr(kind, "reducer_override"):
        return _make_dumps(kind)
    return getattr(cloudpickle, "dumps", None)  # PyPy


@lru_cache(maxsize=1)
def _make_dumps(kind: Any) -> Any:
    import io

    class Pickler(kind):  # type: ignore[misc]
        def reducer_override(self: Any, value: Any) -> Any:
            named = name_object(self, value)
            if named is not None:
                return find_proxy, named
            if type(value) is CodeType:
                return make_code, (_TAG, *self.dispatch_table[CodeType](value))
            reduced: Any = kind.reducer_override(self, value)
            if _is_class_by_value(value, reduced):
                make, args, state, _, _, fill = reduced
                identity = args[-2]
                return find_class, (identity, make, args), (identity, fill, state), None, None, fill_class
            return reduced

    def dumps(
        value: Any, protocol: int, buffer_callback: Any = None, objects: Any = None, listed: Any = None
    ) -> bytes:
        with io.BytesIO() as file:
            pickler: Any = Pickler(file, protocol, buffer_callback)
            pickler.objects, pickler.listed = objects, listed
            pickler.dump(value)
            return file.getvalue()

    return dumps


def _is_class_by_value(value: Any, reduced: Any) -> bool:
    if not isinstance(value, type) or not isinstance(reduced, tuple):
        return False
    return len(reduced) == 6  # pyright: ignore[reportUnknownArgumentType]


def find_class(identity: str, make: Any, args: Any) -> Any:
    """Return the class that cloudpickle knows by this id; it is made, and empty, when it is not here."""
    known: Any = getattr(sys.modules["cloudpickle.cloudpickle"], "_DYNAMIC_CLASS_TRACKER_BY_ID", {})
    found = known.get(identity)
    if found is not None:
        return found
    _new.add(identity)
    return make(*args)


def fill_class(made: Any, how: Any) -> None:
    """Give a class its attributes if it was made anew."""
    identity, fill, state = how
    if identity in _new:
        fill(made, state)
        _new.discard(identity)


def make_code(tag: str, make: Any, args: Any) -> Any:
    """Return the code of a function.

    Raises:
        ValueError: another Python compiled it.
    """
    if tag != _TAG:
        raise ValueError(f"a function that {tag} compiled cannot run on {_TAG}: their bytecodes differ")
    return make(*args)
