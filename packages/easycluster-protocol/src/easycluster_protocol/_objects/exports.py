"""Server objects: which objects stay on the server, and what of them their proxies may use.

Instances of `ServerObject`, of classes given to `make_server_class` and of their subclasses stay on the
server, as does each object given to `make_singleton`. Classes say what they export by ``export_methods``,
``export_attrs``, ``export_attrs_cache`` and ``proxy_class``; each class has exports of its own.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, Optional, Set, Tuple

#: Among the names that are exported: all methods that the class defines, or any attribute.
AUTO = "@auto"

_SETTINGS: Tuple[str, ...] = ("export_methods", "export_attrs", "export_attrs_cache", "proxy_class")

#: The special methods that can be exported: those that Python calls for operators and built-in functions.
OPERATORS = frozenset(
    f"__{name}__"
    for name in (  # noqa: SIM905 -- half as long
        "abs add and bool bytes call ceil complex contains delitem divmod enter eq exit float floor "
        "floordiv format fspath ge getitem gt hash iadd iand ifloordiv ilshift imatmul imod imul index "
        "int invert ior ipow irshift isub iter itruediv ixor le len length_hint lshift lt matmul missing "
        "mod mul ne neg next or pos pow radd rand rdivmod repr reversed rfloordiv rlshift rmatmul rmod "
        "rmul ror round rpow rrshift rshift rsub rtruediv rxor setitem str sub truediv trunc xor"
    ).split()
)

#: Those of Python 2, which scripts for both export beside their successors. No Python here calls them.
_OBSOLETE = frozenset(
    f"__{name}__"
    for name in (  # noqa: SIM905
        "cmp coerce delslice div getslice hex idiv long nonzero oct rcmp rdiv setslice unicode"
    ).split()
)


class ServerObject:
    """Base of classes whose instances stay on the server; clients get proxies of them.

    Class attributes, all optional:
        export_methods: the name of a method that clients may call, or a sequence of names. ``"@auto"``,
            the default, stands for all methods that the class defines.
        export_attrs: names of attributes that clients may get, set and delete; ``"@auto"``, the default,
            lets them ask for any.
        export_attrs_cache: names of attributes that never change: a client asks for each once.
        proxy_class: the class of the proxies, derived from `RemoteProxy`, instead of one that is made
            from those names.
    """

    export_methods: Any = (AUTO,)
    export_attrs: Any = (AUTO,)
    export_attrs_cache: Any = ()
    proxy_class: Any = None


class Exports:
    """What a class exports.

    Attributes:
        methods, attrs, cached: the names.
        any_attribute: whether clients may ask for other attributes, too.
        descriptor: what a client needs to make a proxy: its class, or the names.
    """

    def __init__(
        self,
        methods: FrozenSet[str],
        attrs: FrozenSet[str],
        cached: FrozenSet[str],
        any_attribute: bool,
        proxy_class: Optional[type],
    ) -> None:
        self.methods = methods
        self.attrs = attrs
        self.cached = cached
        self.any_attribute = any_attribute
        self.descriptor: Any = proxy_class or (
            tuple(sorted(methods)),
            tuple(sorted(attrs)),
            tuple(sorted(cached)),
            any_attribute,
        )


#: Class → the settings that `make_server_class` was given; None: its instances are copied, although those of
#: a base of it stay. Entries are kept: the classes are, too.
_registered: Dict[type, Optional[Dict[str, Any]]] = {}

#: The same for classes of modules that are not imported before there are instances: module, name → settings.
later: Dict[Tuple[str, str], Dict[str, Any]] = {}

#: Id of a singleton → the object, which is kept, and its exports.
_singletons: Dict[int, Tuple[Any, Exports]] = {}

#: For type checkers.
_type_of: Callable[[Any], type] = type

#: Class → its exports, None for one whose instances are copied.
_known: Dict[type, Optional[Exports]] = {}
_MAX_KNOWN = 4096

#: Types that pickling knows so well that it asks for no instance, unless it is made to ask for every value.
_COMMON = frozenset((dict, list, set, frozenset, bytearray))

#: Types of which every message is made.
_ATOMS = (object, type, type(None), bool, int, float, complex, str, bytes, tuple)


def exports_of(value: Any) -> Optional[Exports]:
    """Return what a server object exports, None for a value that is copied."""
    if _singletons:
        found = _singletons.get(id(value))
        if found is not None:
            return found[1]
    kind = _type_of(value)
    try:
        return _known[kind]
    except KeyError:
        exports = _of_class(kind)
        if len(_known) >= _MAX_KNOWN:  # classes that are made on the fly shall not be kept for ever
            _known.clear()
        _known[kind] = exports
        return exports


def name_object(pickler: Any, value: Any) -> Any:
    """Return the arguments of `proxies.find_proxy` for a server object, None for a value that is copied.

    Args:
        pickler: has `objects`, the server's objects, whose ``add(value, listed)`` returns the number of one,
            and `listed`, the numbers that were given out to this pickle.
        value: what it pickles.
    """
    exports = exports_of(value)
    return None if exports is None else (pickler.objects.add(value, pickler.listed), exports.descriptor)


def asks_for_every_value() -> bool:
    """Whether pickling has to ask for every value: singletons may be of types that are copied otherwise,
    and some of these may be classes of server objects."""
    return bool(_singletons) or not _COMMON.isdisjoint(_registered)


def _of_class(kind: type) -> Optional[Exports]:
    if not any(base is ServerObject or base in _registered for base in kind.__mro__):
        found = later.get((kind.__module__, kind.__qualname__))
        return None if found is None else _make(kind, found)
    for base in kind.__mro__:
        if base is ServerObject:  # what it says holds where nobody says anything
            break
        if base in _registered:
            settings = _registered[base]
            return None if settings is None else _make(kind, settings)
        own = {name: vars(base)[name] for name in _SETTINGS if name in vars(base)}
        if own:
            return _make(kind, {**_inherited(kind), **own})
    return _make(kind, {})


def _inherited(kind: type) -> Dict[str, Any]:
    """Return the names that a class exports by inheritance, not its proxy class."""
    return {name: getattr(kind, name) for name in _SETTINGS[:3] if hasattr(kind, name)}


def _make(kind: type, settings: Dict[str, Any]) -> Exports:
    methods, auto_methods = _names(kind, settings, "export_methods", AUTO)
    attrs, any_attribute = _names(kind, settings, "export_attrs", AUTO)
    cached, _ = _names(kind, settings, "export_attrs_cache", ())
    if auto_methods:
        methods |= frozenset(_methods_of(kind))
    attrs -= cached
    return Exports(methods, attrs, cached, any_attribute, settings.get("proxy_class"))


def _names(kind: type, settings: Dict[str, Any], setting: str, default: Any) -> Tuple[FrozenSet[str], bool]:
    """Return the names of one setting, and whether ``@auto`` is among them."""
    given: Any = settings.get(setting, default) or ()  # None is nothing, too
    names = ({given} if isinstance(given, str) else set(given)) - _OBSOLETE
    for name in names:
        if name != AUTO and not (isinstance(name, str) and can_be_exported(name)):
            raise TypeError(
                f"{setting} of {kind.__qualname__} holds {name!r}, which cannot be exported: "
                "names of methods and attributes can, and special methods of operators"
            )
    return frozenset(names) - {AUTO}, AUTO in names


def can_be_exported(name: str) -> bool:
    """Whether a proxy may have an attribute of that name: any name, but of special methods only operators."""
    special = name.startswith("__") and name.endswith("__")
    return name in OPERATORS if special else name.isidentifier()


def _methods_of(kind: type) -> Iterator[str]:
    """Yield the names of all methods that a class defines or inherits, but from `object`."""
    seen: Set[str] = set()
    for base in kind.__mro__:
        if base is object or base is ServerObject:
            continue
        for name, value in vars(base).items():
            if name not in seen and can_be_exported(name) and is_method(value):
                yield name
            seen.add(name)


def describe_names(methods: Iterable[str], attributes: Iterable[str]) -> str:
    """Return what is exported, for messages."""
    return (
        f"the methods {', '.join(sorted(methods)) or '(none)'} "
        f"and the attributes {', '.join(sorted(attributes)) or '(none)'}"
    )


def is_method(value: Any) -> bool:
    """Whether what stands in a class is a method of its instances."""
    return isinstance(value, (classmethod, staticmethod)) or (callable(value) and not isinstance(value, type))


def copy_instances(cls: type) -> None:
    """Let the instances of a class be copied although those of one of its bases stay on the server."""
    _registered[cls] = None
    _known.clear()


def make_server_class(
    cls: Any,
    export_methods: Any = (AUTO,),
    export_attrs: Any = (AUTO,),
    export_attrs_cache: Iterable[str] = (),
    proxy_class: Optional[type] = None,
) -> None:
    """Let the instances of a class, and of its subclasses, stay on the server.

    Args:
        cls: any class, built-in ones and those of extension modules too.
        export_methods: as the attribute of `ServerObject`.
        export_attrs: as the attribute of `ServerObject`.
        export_attrs_cache: as the attribute of `ServerObject`.
        proxy_class: as the attribute of `ServerObject`.

    Raises:
        TypeError: `cls` is no class, or a name cannot be exported.
    """
    if not isinstance(cls, type):
        raise TypeError(
            f"make_server_class() takes a class, not {cls!r}: for one object use make_singleton()"
        )
    if cls in _ATOMS:
        raise TypeError(
            f"the instances of {cls.__name__} cannot stay on the server: results are made of them"
        )
    settings = dict(zip(_SETTINGS, (export_methods, export_attrs, export_attrs_cache, proxy_class)))
    _make(cls, settings)  # raises what is wrong with them
    _registered[cls] = settings
    _known.clear()


def make_singleton(
    obj: Any,
    export_methods: Any = (AUTO,),
    export_attrs: Any = (AUTO,),
    export_attrs_cache: Iterable[str] = (),
    proxy_class: Optional[type] = None,
) -> Any:
    """Let one object stay on the server; others of its class are copied. It is kept for ever.

    Args:
        obj: any object but classes, None, True, False and others that every program has.
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
            f"the class {obj.__qualname__} cannot be a singleton: its instances are copied by its name"
        )
    if obj is None or isinstance(obj, (bool, int, str, bytes, float)) or obj == ():
        raise TypeError(f"{obj!r} cannot be a singleton: equal values elsewhere may be the same object")
    settings = dict(zip(_SETTINGS, (export_methods, export_attrs, export_attrs_cache, proxy_class)))
    _singletons[id(obj)] = obj, _make(_type_of(obj), settings)
    return obj
