"""Names that server objects can export, and how messages list them."""

from __future__ import annotations

from typing import Iterable

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

#: Those that a class switches off for its proxies, too, by the value None, as ``__hash__ = None`` does. Every
#: proxy has a `repr`.
SWITCHABLE_OPERATORS = OPERATORS - {"__repr__", "__str__"}

#: The special methods of Python 2, which scripts for both export beside their successors. Nothing calls them.
OBSOLETE_OPERATORS = frozenset(
    f"__{name}__"
    for name in (  # noqa: SIM905
        "cmp coerce delslice div getslice hex idiv long nonzero oct rcmp rdiv setslice unicode"
    ).split()
)


def can_be_exported(name: str) -> bool:
    """Whether a proxy may have an attribute of that name: an identifier; if special, one of an operator."""
    special = name.startswith("__") and name.endswith("__")
    return name in OPERATORS if special else name.isidentifier()


#: The most characters of a list of names in a message.
_LONGEST_LIST = 1000


def describe_names(methods: Iterable[str], attributes: Iterable[str]) -> str:
    """Return a phrase that lists exported names, for messages; of very many names it gives the number."""
    methods, attributes = sorted(methods), sorted(attributes)
    text = (
        f"the methods {', '.join(methods) or '(none)'} and the attributes {', '.join(attributes) or '(none)'}"
    )
    if len(text) <= _LONGEST_LIST:
        return text
    return f"{len(methods)} methods and {len(attributes)} attributes, which dir() of the proxy lists"
