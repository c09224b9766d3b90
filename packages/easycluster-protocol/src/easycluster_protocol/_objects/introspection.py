"""Tools that look at objects, as shells, debuggers and documentation do: they never make calls.

The host may be busy, and the tool would wait for it. A tool is recognised by the names that it asks for, and
where it reads every attribute of an object, by its module.
"""

from __future__ import annotations

import sys

#: Names that only tools ask for: IPython, PyCrust, `asyncio` and `inspect`.
TOOL_NAMES = frozenset(
    (
        "_getAttributeNames",
        "_is_coroutine",
        "_is_coroutine_mark",
        "_is_coroutine_marker",
        "_partialmethod",
        "getdoc",
        "trait_names",
    )
)

#: The names of methods by which notebooks and shells display objects.
_DISPLAY_NAMES = ("_repr_", "_ipython_")

#: Packages and modules that look at objects. Code that the user types into them runs in other modules.
_TOOLS = frozenset(
    (  # noqa: SIM905
        "IPython _pydev_bundle _pydevd_bundle copy debugpy doctest inspect ipykernel jedi pprint pydevd "
        "pydevd_plugins pydoc reprlib rich rlcompleter"
    ).split()
)


def is_for_display(name: str) -> bool:
    """Whether only notebooks and shells ask for a name, to display an object."""
    return name.startswith(_DISPLAY_NAMES)


def is_for_tools(name: str) -> bool:
    """Whether only tools ask for a name."""
    return name in TOOL_NAMES or name.startswith(_DISPLAY_NAMES)


def is_tool_asking(depth: int) -> bool:
    """Whether a tool asks for an attribute.

    Args:
        depth: how far above the caller of this function the code is that asks.
    """
    frame = sys._getframe(depth + 1)
    name = str(frame.f_globals.get("__name__"))
    if name == "unittest.mock":  # it reads what it imitates; what it replaces for a while, its user names
        return frame.f_code.co_name != "get_original"
    return name.partition(".")[0] in _TOOLS
