"""What goes by value: calls with functions that exist only in the master, and results of such functions.

Cloudpickle does it, but for four things. Code keeps the name of its file, so that stack traces show its
lines. It says which Python compiled it: another one could crash on it. A class that comes back to where it
came from stays there as it is: cloudpickle would set all its attributes, so that the methods of the master's
own class became copies with other globals. And server objects and their proxies' methods are what they are
elsewhere.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from io import BytesIO
from types import CodeType, MethodType
from typing import Any, Set

from easycluster_protocol._objects.exports import asks_for_every_value, name_object
from easycluster_protocol._objects.proxies import find_proxy, reduce_method

#: The ids of classes that are being rebuilt here and were not here before.
_new: Set[str] = set()

_TAG = sys.implementation.cache_tag


def dumps_for_call(cloudpickle: Any) -> Any:
    """Return what takes the place of `pickle.dumps` on the client."""
    kind = cloudpickle.Pickler
    return _for_call(kind) if hasattr(kind, "reducer_override") else cloudpickle.dumps  # PyPy


def dumps_for_result(cloudpickle: Any) -> Any:
    """Return what takes the place of `pickle.dumps` on the server, or None while ``cloudpickle`` is being
    imported."""
    kind = getattr(cloudpickle, "Pickler", None)
    if hasattr(kind, "reducer_override"):
        return _for_result(kind)
    return getattr(cloudpickle, "dumps", None)  # PyPy


@lru_cache(maxsize=1)
def _with_code(kind: Any) -> Any:
    class Pickler(kind):  # type: ignore[misc]
        def reducer_override(self: Any, value: Any) -> Any:
            if type(value) is CodeType:
                return make_code, (_TAG, value.co_filename, *self.dispatch_table[CodeType](value))
            return kind.reducer_override(self, value)

    return Pickler


@lru_cache(maxsize=1)
def _for_call(kind: Any) -> Any:
    base: Any = _with_code(kind)

    class Pickler(base):  # type: ignore[misc]
        def reducer_override(self: Any, value: Any) -> Any:
            if type(value) is MethodType:
                # Cloudpickle would send the function that forwards, and not the object's own method.
                reduced = reduce_method(value)
                if reduced is not None:
                    return reduced
            return base.reducer_override(self, value)

    def dumps(value: Any, protocol: int, buffer_callback: Any = None) -> bytes:
        with BytesIO() as file:
            Pickler(file, protocol, buffer_callback).dump(value)
            return file.getvalue()

    return dumps


@lru_cache(maxsize=1)
def _for_result(kind: Any) -> Any:
    base: Any = _with_code(kind)

    class ByType(base):  # type: ignore[misc]
        def reducer_override(self: Any, value: Any) -> Any:
            named = name_object(self, value)
            if named is not None:
                return find_proxy, named
            reduced: Any = base.reducer_override(self, value)
            if _is_class_by_value(value, reduced):
                make, args, state, _, _, fill = reduced
                identity = args[-2]
                return find_class, (identity, make, args), (identity, fill, state), None, None, fill_class
            return reduced

    class ByIdentity(ByType):
        def persistent_id(self: Any, value: Any) -> Any:  # see `object_pickle`
            return name_object(self, value)

    def dumps(
        value: Any, protocol: int, buffer_callback: Any = None, objects: Any = None, listed: Any = None
    ) -> bytes:
        with BytesIO() as file:
            pickler: Any = (ByIdentity if asks_for_every_value() else ByType)(file, protocol, buffer_callback)
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


def make_code(tag: str, filename: str, make: Any, args: Any) -> Any:
    """Return the code of a function.

    Args:
        tag: the Python that compiled it.
        filename: where it comes from; cloudpickle 3.1.3 and newer forget it.
        make: what makes it.
        args: of ``make``.

    Raises:
        ValueError: another Python compiled it.
    """
    if tag != _TAG:
        raise ValueError(f"a function that {tag} compiled cannot run on {_TAG}: their bytecodes differ")
    return make(*args).replace(co_filename=filename)  # novm -- no older Python has its code sent
