"""Pickling by value: functions and classes that exist only in the master, in calls and in their results.

Cloudpickle does it, except for four things. Code keeps the name of its file, so that stack traces show its
lines. Code names the Python that compiled it, because another one could crash on it. A class that comes back
to its origin stays there as it is: cloudpickle would set all its attributes, and the methods of the master's
own class would become copies with other globals. And server objects, and methods of their proxies, are
pickled as they are elsewhere.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from io import BytesIO
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Set, Tuple

from easycluster_protocol._objects.exports import can_any_value_stay, name_object
from easycluster_protocol._objects.proxies import find_proxy
from easycluster_protocol._objects.proxy_methods import reduce_method

from .iterators import is_sequence_iterator, reduce_iterator
from .named_tuples import has_no_name, has_only_fields, is_always_copied, is_never_copied
from .only_here import is_dispatcher, reduce_dispatcher, reduce_name, reduce_property
from .reductions import Reductions
from .states import States

if TYPE_CHECKING:
    from types import ModuleType

    from easycluster_protocol._objects.exports import ObjectTable
    from easycluster_protocol._types import Args, Dumps, Value

#: The ids of classes that are being made here and have no attributes yet.
_unfilled: Set[str] = set()

_type_of: Callable[[object], type] = type  # for type checkers, which make no class of `type(value)`

_CACHE_TAG = sys.implementation.cache_tag


class _ReductionsByValue(Reductions):
    """The reductions for values that cloudpickle has none of its own for.

    Args:
        protocol: the pickle protocol.
        may_be_copied: see `Reductions`.
        others: the dispatch table of cloudpickle, which comes first.
    """

    def __init__(
        self, protocol: int, may_be_copied: Callable[[type], bool], others: Mapping[type, Any]
    ) -> None:
        super().__init__(protocol, may_be_copied)
        self._others = others

    def reduce(self, value: Value) -> Any:
        """Return how a value is pickled, or NotImplemented where cloudpickle knows."""
        cls = _type_of(value)
        if cls in self._others or issubclass(cls, (type, FunctionType)):
            return NotImplemented
        reduced = self[cls](value)
        return reduce_name(value, reduced) if isinstance(reduced, str) else reduced

    def choose(self, cls: Any) -> Any:
        if (cls.__module__, cls.__name__) == ("functools", "cached_property"):
            return reduce_property
        if has_no_name(cls) and not self.may_be_copied(cls) and issubclass(cls, tuple):
            return None  # its class goes by value
        return super().choose(cls)


def make_dumps_for_call(cloudpickle: ModuleType, copy_tuples: bool = False) -> Dumps:
    """Return the function that the client pickles with.

    Args:
        cloudpickle: the module.
        copy_tuples: whether classes of named tuples do not go by value: an equal tuple arrives, with the same
            names of its fields.
    """
    cls = cloudpickle.Pickler
    if not hasattr(cls, "reducer_override"):
        plain: Dumps = cloudpickle.dumps  # PyPy
        return plain
    return _make_call_dumps(cls, copy_tuples)


def make_dumps_for_result(cloudpickle: ModuleType) -> Optional[Dumps]:
    """Return the function that the server pickles with, or None while ``cloudpickle`` is being imported."""
    cls = getattr(cloudpickle, "Pickler", None)
    if hasattr(cls, "reducer_override"):
        return _make_result_dumps(cls)
    return getattr(cloudpickle, "dumps", None)  # PyPy


@lru_cache(maxsize=1)
def _make_code_pickler(cls: Any) -> Any:
    class Pickler(cls):  # type: ignore[misc]
        #: Whether a class of named tuples that has no name may be replaced by one with the same fields.
        may_be_copied = staticmethod(is_never_copied)

        def __init__(self: Any, file: Any, protocol: int, buffer_callback: Any = None) -> None:
            cls.__init__(self, file, protocol, buffer_callback)
            self.reductions = _ReductionsByValue(protocol, self.may_be_copied, self.dispatch_table)

        def reducer_override(self: Any, value: Value) -> Any:
            if type(value) is CodeType:
                return make_code, (_CACHE_TAG, value.co_filename, *self.dispatch_table[CodeType](value))
            if type(value) is FunctionType and is_dispatcher(value):
                return reduce_dispatcher(value)
            reduced = cls.reducer_override(self, value)
            return self.reductions.reduce(value) if reduced is NotImplemented else reduced

    return Pickler


@lru_cache(maxsize=2)
def _make_call_dumps(cls: Any, copy_tuples: bool) -> Dumps:
    base: Any = _make_code_pickler(cls)

    class Pickler(base):  # type: ignore[misc]
        may_be_copied = staticmethod(is_always_copied if copy_tuples else is_never_copied)

        def reducer_override(self: Any, value: Value) -> Any:
            if type(value) is MethodType:
                # Cloudpickle would send the forwarding function instead of the object's own method.
                reduced = reduce_method(value)
                if reduced is not None:
                    return reduced
            return base.reducer_override(self, value)

    def dumps(value: Value, protocol: int, buffer_callback: Any = None) -> bytes:
        with BytesIO() as file:
            Pickler(file, protocol, buffer_callback).dump(value)
            return file.getvalue()

    return dumps


@lru_cache(maxsize=1)
def _make_result_dumps(cls: Any) -> Dumps:
    base: Any = _make_code_pickler(cls)

    class ByType(base):  # type: ignore[misc]
        may_be_copied = staticmethod(has_only_fields)

        def reducer_override(self: Any, value: Value) -> Any:
            named = name_object(self, value)
            if named is not None:
                return find_proxy, named
            if is_sequence_iterator(_type_of(value)):
                return reduce_iterator(self, value)
            reduced: Any = base.reducer_override(self, value)
            if _is_class_by_value(value, reduced):
                make, args, state, _, _, fill = reduced
                identity = args[-2]
                return find_class, (identity, make, args), (identity, fill, state), None, None, fill_class
            return reduced

    class ByIdentity(ByType):
        def __init__(self: Any, file: Any, protocol: int, buffer_callback: Any = None) -> None:
            base.__init__(self, file, protocol, buffer_callback)
            self.states = States()

        def persistent_id(self: Any, value: Value) -> Any:  # see `object_pickle`
            return None if id(value) in self.states else name_object(self, value)

        def reducer_override(self: Any, value: Value) -> Any:
            cls, reduced = _type_of(value), super().reducer_override(value)
            if reduced is NotImplemented and cls in self.dispatch_table:
                reduced = self.dispatch_table[cls](value)
            return self.states.note(cls, reduced)

    def dumps(
        value: Value,
        protocol: int,
        buffer_callback: Any = None,
        objects: Optional[ObjectTable] = None,
        listed: Any = None,
    ) -> bytes:
        with BytesIO() as file:
            pickler: Any = (ByIdentity if can_any_value_stay() else ByType)(file, protocol, buffer_callback)
            pickler.objects, pickler.listed = objects, listed
            pickler.dump(value)
            return file.getvalue()

    return dumps


def _is_class_by_value(value: Value, reduced: object) -> bool:
    if not isinstance(value, type) or not isinstance(reduced, tuple):
        return False
    return len(reduced) == 6  # pyright: ignore[reportUnknownArgumentType]


def find_class(identity: str, make: Callable[..., type], args: Args) -> type:
    """Return the class that cloudpickle knows by this id; if it is not here, make one without attributes."""
    module = sys.modules["cloudpickle.cloudpickle"]
    known: Dict[str, type] = getattr(module, "_DYNAMIC_CLASS_TRACKER_BY_ID", {})
    found = known.get(identity)
    if found is not None:
        return found
    _unfilled.add(identity)
    return make(*args)


def fill_class(cls: type, how: Tuple[str, Callable[[type, Value], None], Value]) -> None:
    """Give a class its attributes if `find_class` has made it.

    Args:
        cls: the class.
        how: its id, the function that fills it, and the second argument of that function.
    """
    identity, fill, state = how
    if identity in _unfilled:
        fill(cls, state)
        _unfilled.discard(identity)


def make_code(tag: str, filename: str, make: Callable[..., CodeType], args: Args) -> CodeType:
    """Return the code of a function.

    Args:
        tag: the Python that compiled it.
        filename: the file that it comes from; cloudpickle 3.1.3 and newer forget it.
        make: the function that makes it.
        args: the arguments of ``make``.

    Raises:
        ValueError: another Python compiled it.
    """
    if tag != _CACHE_TAG:
        raise ValueError(f"a function that {tag} compiled cannot run on {_CACHE_TAG}: their bytecodes differ")
    return make(*args).replace(co_filename=filename)  # novm -- no older Python has its code sent
