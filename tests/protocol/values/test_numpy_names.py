"""Names of another NumPy's pickles, found where this one has them."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest

from easycluster_protocol._limits import OUT_OF_BAND_BYTES
from easycluster_protocol._values.numpy_names import list_homes, loads_again
from easycluster_protocol._values.object_pickle import loads_result


def again(body: bytes, buffers: Any = ()) -> Any:
    """The value of a pickle that this NumPy cannot rebuild as it is."""
    try:
        loads_result(body, buffers)
    except Exception as error:
        return loads_again(error, body, buffers)
    raise AssertionError("it can")


def of_another_numpy(value: Any, protocol: int = 2) -> bytes:
    """The pickle of a NumPy that has its functions elsewhere; protocol 2 has no lengths of names."""
    return pickle.dumps(value, protocol).replace(b"cnumpy._core", b"cnumpy.core")


@pytest.fixture
def no_numpy_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing under the old name."""
    for name in [name for name in sys.modules if name.startswith("numpy.core")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy.core", None)


@pytest.mark.parametrize(
    "value", [np.arange(3), np.float64(2.5), np.ma.array([1, 2], mask=[False, True])], ids=repr
)
def test_moved_functions(value: Any, no_numpy_core: None) -> None:
    """Arrays and scalars of the other NumPy are rebuilt by the functions of this one."""
    assert repr(again(of_another_numpy([value])))[1:-1] == repr(value)


def test_beside_the_pickle(no_numpy_core: None) -> None:
    """So are arrays whose memory travels beside the pickle."""
    buffers: list[Any] = []
    array = np.arange(OUT_OF_BAND_BYTES)
    body = pickle.dumps(array, 5, buffer_callback=buffers.append)
    assert b"\x13numpy._core.numeric" in body
    rest = body[11:].replace(b"\x13numpy._core.numeric", b"\x12numpy.core.numeric")
    body = body[:3] + len(rest).to_bytes(8, "little") + rest  # the length of the frame

    assert (again(body, [bytearray(each.raw()) for each in buffers]) == array).all()


def test_moved_classes() -> None:
    """Classes that have moved out of `numpy` are found in their new homes."""
    body = pickle.dumps(np.exceptions.AxisError("axis"), 2).replace(b"cnumpy.exceptions", b"cnumpy")

    assert type(again(body)) is np.exceptions.AxisError


def test_other_errors() -> None:
    """An error that has nothing to do with NumPy stays as it is, and nothing is run again."""
    for error in (ValueError("numpy"), ImportError("another"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            loads_again(error, b"junk", ())
        assert caught.value is error


def test_what_no_numpy_has() -> None:
    """A name that is nowhere is the error that the usual place gives."""
    body = of_another_numpy([np.arange(3)]).replace(b"_reconstruct", b"_construct")

    with pytest.raises(AttributeError, match="_construct"):
        again(body)
    with pytest.raises(ImportError, match="no_such"):
        again(b"cnumpy.no_such\nname\n.")


def test_homes() -> None:
    """The best home comes first; other libraries have one only."""
    assert list(list_homes("numpy.core")) == ["numpy._core", "numpy.core"]
    assert list(list_homes("numpy._core.multiarray")) == ["numpy._core.multiarray", "numpy.core.multiarray"]
    assert list(list_homes("numpy.rec"))[:2] == ["numpy.rec", "numpy"]
    assert list(list_homes("pandas.core")) == ["pandas.core"]
