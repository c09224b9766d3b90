"""Pickles of another NumPy: the names that they contain have other homes in this one.

NumPy 2 has moved the functions that its pickles name from ``numpy.core`` to ``numpy._core``, and some classes
out of ``numpy``. Nothing is done about it until a pickle cannot be rebuilt. It is then unpickled once more,
with the names of this NumPy.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Iterator, Sequence

from .object_pickle import ProxyUnpickler

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer, Value

#: Modules that one NumPy or the other has, where classes such as AxisError and recarray may be.
_OTHER_HOMES = ("numpy", "numpy.exceptions", "numpy.rec", "numpy.char")


class _NumPyUnpickler(ProxyUnpickler):
    """Finds the names of any NumPy in this one."""

    def find_class(self, module: str, name: str) -> Value:
        """Return the object of a name."""
        error: Exception = AttributeError(f"NumPy has no {name} here")
        for home in list_homes(module):
            try:
                return super().find_class(home, name)
            # DeprecationWarning: what NumPy 2 still finds in numpy.core.
            except (ImportError, AttributeError, DeprecationWarning) as failure:
                error = failure if home == module else error
        raise error


def list_homes(module: str) -> Iterator[str]:
    """Yield the modules in which to look for a name that a pickle has from this module, the best first."""
    first, _, rest = module.partition(".")
    if first == "numpy":
        second, _, more = rest.partition(".")
        if second in ("core", "_core"):
            yield "numpy._core" + ("." + more if more else "")
            yield "numpy.core" + ("." + more if more else "")
            return
        yield module
        yield from _OTHER_HOMES
        return
    yield module


def loads_again(error: BaseException, body: Buffer, buffers: Sequence[Buffer]) -> Value:
    """Return the value of a pickle that could not be rebuilt, if only the names of NumPy are to blame.

    Args:
        error: why it could not be rebuilt, which is raised again if they are not.
        body: the pickle.
        buffers: the buffers beside it.
    """
    if not isinstance(error, (ImportError, AttributeError, DeprecationWarning)) or "numpy" not in str(error):
        raise error
    kwargs: Any = {"buffers": buffers} if buffers else {}
    return _NumPyUnpickler(BytesIO(body), **kwargs).load()
