"""Exceptions to bytes where `failures` cannot be imported.

The process has no descriptors left, or it no longer sees Python's own modules, of which this module imports
none. The result has the form that `failures` makes. Only exceptions of built-in classes are rebuilt from it;
for others the receiver makes a class of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Optional

from easycluster_protocol._pickling import dumps, loads

from .serialize import describe, get_text

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


def pack_plainly(error: BaseException, protocol: int, problem: BaseException) -> bytes:
    """Return the body of the FAILURE message for ``error``.

    Args:
        error: the exception; its traceback is cut down to the user's own frames.
        protocol: the pickle protocol that both ends understand.
        problem: why `failures` cannot be imported.
    """
    reason = f"the server cannot import the modules that describe an exception: {describe(problem)}"
    link: Dict[str, Value] = {
        "type": str(type(error).__name__),
        "module": str(type(error).__module__),
        "message": get_text(error),
        "bases": [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"],
        "pickled": _pickle_builtin(error, protocol),
        "reason": reason,
        "attributes": {},
        "relation": "context",
        "suppress": False,
        "text": [*_format(error), f"({reason})\n"],
    }
    return dumps([link], protocol)


def _pickle_builtin(error: BaseException, protocol: int) -> Optional[bytes]:
    if type(error).__module__ == "builtins":
        try:
            pickled = dumps(error, protocol)
            if type(loads(pickled)) is type(error):
                return pickled
        except Exception:
            pass
    return None


def _format(error: BaseException) -> List[str]:
    """Return a stack trace without source lines."""
    lines = ["Traceback (most recent call last):\n"]
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {traceback.tb_lineno}, in {code.co_name}\n')
        traceback = traceback.tb_next
    return [*lines, describe(error) + "\n"]
