"""Finds which argument of a call could not be rebuilt, when one could not: nobody needs it before.

The pickle of a call is one for all its arguments. Nothing of it is run again: its opcodes tell which
arguments call anything when they are rebuilt, and which names these need that are not here.
"""

from __future__ import annotations

import pickletools
import sys
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional

from .numpy_names import list_homes

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer, Value

#: The opcodes that call something or look for a name; no others fail.
_CALLING = frozenset(
    (
        "BINPERSID",
        "BUILD",
        "GLOBAL",
        "INST",
        "NEWOBJ",
        "NEWOBJ_EX",
        "NEXT_BUFFER",
        "OBJ",
        "REDUCE",
        "STACK_GLOBAL",
    )
)

#: Pickles that are larger take too long.
_MAX_BYTES = 1 << 20


class _Node:
    """The opcode that makes an object, and the objects that it takes."""

    def __init__(self, name: str, argument: Value, parts: List[_Node]) -> None:
        self.name = name
        self.argument = argument
        self.parts = parts


def name_culprit(body: Buffer) -> str:
    """Return which part of a call cannot be rebuilt, for messages.

    Args:
        body: the pickle of the call.
    """
    if len(body) > _MAX_BYTES:
        return "an argument of the call"
    try:
        *_, function, args, kwargs = _parse(bytes(body)).parts
        items = _list_items(kwargs)
        named = [(str(number), part) for number, part in enumerate(args.parts, 1)]
        named += [(repr(key.argument), part) for key, part in zip(items[::2], items[1::2])]
        named = [each for each in named if any(node.name in _CALLING for node in _walk(each[1]))]
        lacking = [each for each in named if any(map(_lacks, _walk(each[1])))]
        if not isinstance(function.argument, str):
            return "the function of the call, or an argument," if named else "the function of the call"
        numbers = [name for name, _ in lacking[:1] or named]
    except Exception:  # a pickle of a kind that nobody sends
        return "an argument of the call"
    which = "argument " + " or ".join(numbers) if numbers else "an argument"
    return f"{which} of {function.argument}"


def _list_items(node: _Node) -> List[_Node]:
    """Return the keys and values of a dictionary, alternately."""
    return [*_list_items(node.parts[0]), *node.parts[1:]] if node.parts else []


def _walk(node: _Node) -> Iterator[_Node]:
    """Yield a node and all below it."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(found.parts)


def _lacks(node: _Node) -> bool:
    """Whether a node is a name that cannot be found here."""
    if node.name == "STACK_GLOBAL":
        module, name = (part.argument for part in node.parts)
    elif node.name == "GLOBAL":
        module, name = node.argument.split(" ")
    else:
        return False
    return not any(_is_here(home, name) for home in list_homes(module))


def _is_here(module: str, name: str) -> bool:
    found: Value = sys.modules.get(module)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        return False
    return True


def _parse(body: bytes) -> _Node:
    """Return the object that a pickle makes, without making it."""
    stack: List[Optional[_Node]] = []  # None stands for a mark
    memo: Dict[int, _Node] = {}
    for opcode, argument, _ in pickletools.genops(body):
        name = opcode.name
        if name == "MARK":
            stack.append(None)
        elif name == "MEMOIZE" or name.endswith("PUT"):
            memo[len(memo) if argument is None else int(argument)] = _pop(stack, keep=True)
        elif name.endswith("GET"):
            stack.append(_Node(name, memo[int(argument or 0)].argument, []))
        elif name == "POP" and stack[-1] is None:
            stack.pop()
        elif name not in ("PROTO", "FRAME", "STOP"):
            node = _Node(name, argument, _take_operands(stack, opcode.stack_before))
            stack.extend([node] * len(opcode.stack_after))
    return _pop(stack)


def _take_operands(stack: List[Optional[_Node]], before: List[Value]) -> List[_Node]:
    """Take what an opcode takes from the stack."""
    parts: List[_Node] = []
    fixed = len(before)
    if pickletools.markobject in before:
        fixed = before.index(pickletools.markobject)
        while stack[-1] is not None:
            parts.append(_pop(stack))
        stack.pop()
    parts.extend([_pop(stack) for _ in range(fixed)])
    return parts[::-1]


def _pop(stack: List[Optional[_Node]], keep: bool = False) -> _Node:
    node = stack[-1] if keep else stack.pop()
    assert node is not None, "a mark where an object should be"
    return node
