"""Server objects: which objects stay on the server, and which of their attributes proxies may use.

Instances of `ServerObject`, of classes given to `make_server_class` and of their subclasses stay on the
server, and so does each object given to `make_singleton`. A class names its exports in ``export_methods``,
``export_attrs``, ``export_attrs_cache`` and ``proxy_class``; each subclass may name others.
"""

from __future__ import annotations

from types import FunctionType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    Optional,
    Set,
    Tuple,
    Union,
)

from .operators import OBSOLETE_OPERATORS, SWITCHABLE_OPERATORS, can_be_exported
from .process_bound import find_array_protocols, find_refused

if TYPE_CHECKING:  # novm
    from typing import Protocol

    from easycluster_protocol._types import Args, Value

    #: One name, or several.
    Names = Union[str, Iterable[str], None]

    #: The values of `SETTINGS` by name.
    Settings = Dict[str, Value]

    Strings = Tuple[str, ...]

    #: All that a client needs to make a proxy: its class; or the names of methods, of attributes and of those
    #: attributes that never change, whether other attributes may be asked for, the names of methods that the
    #: proxy refuses to call, see `process_bound`, those of operators that the class switches off, and the
    #: full name of the object's class.
    Descriptor = Union[type, Tuple[Strings, Strings, Strings, bool, Strings, Strings, str]]

    class ObjectNumbers(Protocol):
        """Gives numbers to server objects."""

        def add(self, value: Value, listed: Dict[int, None]) -> int:
            """Return the number of an object that is being pickled, and count a receipt for each pickle:
            ``listed`` has the numbers in this one."""
            ...

        def describe(self, exports: Exports) -> Args:
            """Return the arguments of `proxies.find_proxy` that follow the number of an object."""
            ...

    class ObjectTable(ObjectNumbers, Protocol):
        """The objects of a server, see `easycluster_server._objects.table`."""

        def get(self, oid: int) -> Value:
            """Return the object with this number."""
            ...

        def give_back(self, listed: Dict[int, None]) -> None:
            """Forget the receipts of a pickle that is not sent."""
            ...

    class ObjectPickler(Protocol):
        """A pickler that turns server objects into numbers.

        Attributes:
            objects: gives the objects their numbers.
            listed: the numbers in this pickle.
        """

        objects: ObjectNumbers
        listed: Dict[int, None]


#: Stands among exported names for all methods that the class defines, or for any attribute.
AUTO = "@auto"

#: Where releases name a class, this is added to its number: the client knows the class, see
#: `easycluster_server._objects.table`.
CLASS_KNOWN = 1 << 63

#: How many classes have numbers on one connection. Further ones are described by each answer.
MAX_NUMBERED_CLASSES = 1024

#: Descriptions with more characters than this have a number.
_LARGE_DESCRIPTION = 100

#: The attributes of classes that name their exports.
SETTINGS: Tuple[str, ...] = ("export_methods", "export_attrs", "export_attrs_cache", "proxy_class")


class ServerObject:
    """Base of classes whose instances stay on the server; clients get proxies of them.

    Class attributes, all optional:
        export_methods: the name of a method that clients may call, or a sequence of names. ``"@auto"``,
            the default, stands for all methods that the class defines.
        export_attrs: names of attributes that clients may get, set and delete; ``"@auto"``, the default,
            lets them ask for any.
        export_attrs_cache: names of attributes that never change: a client asks for each once.
        proxy_class: the class of the proxies, derived from `RemoteProxy`; without it, one is made from the
            names above.
    """

    export_methods: Union[str, Iterable[str], None] = (AUTO,)
    export_attrs: Union[str, Iterable[str], None] = (AUTO,)
    export_attrs_cache: Union[str, Iterable[str], None] = ()
    proxy_class: Optional[type] = None


class Exports:
    """The exports of a class.

    Attributes:
        methods, attrs, cached: the names; `cached` are those of attributes that never change.
        any_attribute: whether clients may ask for other attributes, too.
        refused: those of the methods that proxies refuse to call, see `process_bound`.
        switched_off: the operators that the class switches off, see `_find_switched_off`.
        descriptor: all that a client needs to make a proxy.
        is_large: whether the descriptor has a number, which takes its place.
    """

    def __init__(
        self,
        methods: FrozenSet[str],
        attrs: FrozenSet[str],
        cached: FrozenSet[str],
        any_attribute: bool,
        refused: FrozenSet[str],
        switched_off: FrozenSet[str],
        cls: type,
        proxy_class: Optional[type],
    ) -> None:
        self.methods = methods
        self.attrs = attrs
        self.cached = cached
        self.any_attribute = any_attribute
        self.refused = refused
        self.switched_off = switched_off
        self.descriptor: Descriptor = proxy_class or (
            tuple(sorted(methods - refused)),
            tuple(sorted(attrs)),
            tuple(sorted(cached)),
            any_attribute,
            tuple(sorted(refused | find_array_protocols(cls))),
            tuple(sorted(switched_off)),
            f"{cls.__module__}.{cls.__qualname__}",
        )
        length = sum(map(len, methods)) + sum(map(len, attrs)) + sum(map(len, cached))
        self.is_large = proxy_class is None and length > _LARGE_DESCRIPTION


#: Class → the settings that `make_server_class` was given. None: the instances are copied, although those of
#: a base class stay. Entries are never removed, so the classes are kept alive.
_registered: Dict[type, Optional[Settings]] = {}

#: Module and name of a class → its settings, for classes whose modules need not be imported.
registered_by_name: Dict[Tuple[str, str], Settings] = {}

#: Id of a singleton → the object, which is kept alive, and its exports.
_singletons: Dict[int, Tuple[Value, Exports]] = {}

#: Class → its exports, None for one whose instances are copied.
_exports_by_class: Dict[type, Optional[Exports]] = {}
_MAX_CACHED_CLASSES = 4096

#: Types that pickling knows so well that it asks for no instance, unless it is made to ask for every value.
_COMMON_TYPES = frozenset((dict, list, set, frozenset, bytearray, FunctionType))

#: Types of which every message is made.
_MESSAGE_TYPES = (object, type, type(None), bool, int, float, complex, str, bytes, tuple)

_type_of: Callable[[object], type] = type  # for type checkers, which make no class of `type(value)`


def find_exports(value: Value) -> Optional[Exports]:
    """Return the exports of a server object, None for a value that is copied."""
    if _singletons:
        found = _singletons.get(id(value))
        if found is not None:
            return found[1]
    return find_class_exports(_type_of(value))


def is_singleton(value: Value) -> bool:
    """Whether one object stays that was given to `make_singleton`."""
    return id(value) in _singletons


def find_class_exports(cls: type) -> Optional[Exports]:
    """Return the exports of a class, None for one whose instances are copied."""
    try:
        return _exports_by_class[cls]
    except KeyError:
        exports = _find_class_exports(cls)
        # Its entries keep classes alive, also those that are made on the fly.
        if len(_exports_by_class) >= _MAX_CACHED_CLASSES:
            _exports_by_class.clear()
        _exports_by_class[cls] = exports
        return exports


def name_object(pickler: ObjectPickler, value: Value) -> Optional[Args]:
    """Return the arguments of `proxies.find_proxy` for a server object, None for a value that is copied.

    Args:
        pickler: the pickler, which has the table of the server's objects.
        value: the value that it is pickling.
    """
    exports = find_exports(value)
    if exports is None:
        return None
    objects = pickler.objects
    return (objects.add(value, pickler.listed), *objects.describe(exports))


def can_any_value_stay() -> bool:
    """Whether values of every type may be server objects, so that pickling has to ask for each of them.

    Singletons may be of any type, and `make_server_class` may have been given a type for which pickling does
    not ask otherwise.
    """
    return bool(_singletons) or not _COMMON_TYPES.isdisjoint(_registered)


def _find_class_exports(cls: type) -> Optional[Exports]:
    if not any(base is ServerObject or base in _registered for base in cls.__mro__):
        found = registered_by_name.get((cls.__module__, cls.__qualname__))
        return None if found is None else _make_exports(cls, found)
    for base in cls.__mro__:
        if base is ServerObject:  # its settings hold where no class has others
            break
        if base in _registered:
            settings = _registered[base]
            return None if settings is None else _make_exports(cls, settings)
        own = {name: vars(base)[name] for name in SETTINGS if name in vars(base)}
        if own:
            return _make_exports(cls, {**_inherit_settings(cls), **own})
    return _make_exports(cls, {})


def _inherit_settings(cls: type) -> Settings:
    """Return the settings that a class inherits, except for its proxy class."""
    return {name: getattr(cls, name) for name in SETTINGS[:3] if hasattr(cls, name)}


def _make_exports(cls: type, settings: Settings) -> Exports:
    methods, auto_methods = _read_names(cls, settings, "export_methods", AUTO)
    attrs, any_attribute = _read_names(cls, settings, "export_attrs", AUTO)
    cached, _ = _read_names(cls, settings, "export_attrs_cache", ())
    refused: FrozenSet[str] = frozenset()
    if auto_methods:
        found = frozenset(_find_methods(cls))
        refused = find_refused(cls, found) - methods - attrs - cached
        methods |= found
    switched_off = frozenset(_find_switched_off(cls))
    if not auto_methods:
        # Without the operator `==` of their objects, proxies compare, and are hashed, by identity.
        switched_off &= methods | ({"__hash__"} if "__eq__" in methods else set())
    return Exports(
        methods - switched_off,
        attrs - cached,
        cached,
        any_attribute,
        refused,
        switched_off,
        cls,
        settings.get("proxy_class"),
    )


def _read_names(cls: type, settings: Settings, setting: str, default: Names) -> Tuple[FrozenSet[str], bool]:
    """Return the names of one setting without ``@auto``, and whether ``@auto`` was among them."""
    given: Value = settings.get(setting, default) or ()  # None means none, too
    names = ({given} if isinstance(given, str) else set(given)) - OBSOLETE_OPERATORS
    for name in names:
        if name != AUTO and not (isinstance(name, str) and can_be_exported(name)):
            raise TypeError(
                f"{setting} of {cls.__qualname__} holds {name!r}, which cannot be exported: "
                "names of methods and attributes can, and special methods of operators"
            )
    return frozenset(names) - {AUTO}, AUTO in names


def _find_methods(cls: type) -> Iterator[str]:
    """Yield the names of all methods that a class defines or inherits, except from `object`."""
    for name, value in _find_attributes(cls):
        if can_be_exported(name) and is_method(value):
            yield name


def _find_switched_off(cls: type) -> Iterator[str]:
    """Yield the operators that a class has the value None for: Python then behaves as if there were none, and
    asks no base class, nor the other operand."""
    for name, value in _find_attributes(cls):
        if value is None and name in SWITCHABLE_OPERATORS:
            yield name


def _find_attributes(cls: type) -> Iterator[Tuple[str, Value]]:
    """Yield the names and values of all that a class defines or inherits, except from `object`."""
    seen: Set[str] = set()
    for base in cls.__mro__:
        if base is object or base is ServerObject:
            continue
        for name, value in vars(base).items():
            if name not in seen:
                yield name, value
            seen.add(name)


def is_method(value: Value) -> bool:
    """Whether a value in the namespace of a class is a method of its instances."""
    return isinstance(value, (classmethod, staticmethod)) or (callable(value) and not isinstance(value, type))


def copy_instances(cls: type) -> None:
    """Let the instances of a class be copied, although those of one of its bases stay on the server."""
    _registered[cls] = None
    _exports_by_class.clear()


def make_server_class(
    cls: object,
    export_methods: Union[str, Iterable[str], None] = (AUTO,),
    export_attrs: Union[str, Iterable[str], None] = (AUTO,),
    export_attrs_cache: Union[str, Iterable[str], None] = (),
    proxy_class: Optional[type] = None,
) -> None:
    """Let the instances of a class, and of its subclasses, stay on the server.

    Args:
        cls: any class, also a built-in one or one of an extension module.
        export_methods: as the attribute of `ServerObject`.
        export_attrs: as the attribute of `ServerObject`.
        export_attrs_cache: as the attribute of `ServerObject`.
        proxy_class: as the attribute of `ServerObject`.

    Raises:
        TypeError: `cls` is not a class, or a name cannot be exported.
    """
    if not isinstance(cls, type):
        raise TypeError(
            f"make_server_class() takes a class, not {cls!r}: for one object use make_singleton()"
        )
    if cls in _MESSAGE_TYPES:
        raise TypeError(
            f"the instances of {cls.__name__} cannot stay on the server: results are made of them; give a"
            " subclass"
        )
    settings = dict(zip(SETTINGS, (export_methods, export_attrs, export_attrs_cache, proxy_class)))
    _make_exports(cls, settings)  # raises an error if a name cannot be exported
    _registered[cls] = settings
    _exports_by_class.clear()


def make_singleton(
    obj: Any,
    export_methods: Union[str, Iterable[str], None] = (AUTO,),
    export_attrs: Union[str, Iterable[str], None] = (AUTO,),
    export_attrs_cache: Union[str, Iterable[str], None] = (),
    proxy_class: Optional[type] = None,
) -> Any:
    """Let one object stay on the server; others of its class are copied. The object is kept for ever.

    Args:
        obj: any object except for classes, None, True, False and others that every program has.
        export_methods: as the attribute of `ServerObject`.
        export_attrs: as the attribute of `ServerObject`.
        export_attrs_cache: as the attribute of `ServerObject`.
        proxy_class: as the attribute of `ServerObject`.

    Returns:
        `obj`.

    Raises:
        TypeError: a name cannot be exported, or all programs share `obj`.
    """
    if isinstance(obj, type):
        raise TypeError(
            f"the class {obj.__qualname__} cannot be a singleton: its instances are copied by its name; use"
            " make_server_class()"
        )
    if obj is None or isinstance(obj, (bool, int, str, bytes, float)) or obj == ():
        raise TypeError(
            f"{obj!r} cannot be a singleton: equal values elsewhere may be the same object; put it into"
            " an object of a class"
        )
    settings = dict(zip(SETTINGS, (export_methods, export_attrs, export_attrs_cache, proxy_class)))
    _singletons[id(obj)] = obj, _make_exports(_type_of(obj), settings)
    return obj
