"""How values of libraries are pickled: their memory beside the pickle, that of devices only if it is allowed."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from easycluster_protocol._objects.proxies import context
from easycluster_protocol._values.libraries import find_library_reduction
from easycluster_protocol._values.reductions import dumps_value
from easycluster_protocol._values.serialize import dumps, loads
from easycluster_protocol.errors import SerializationError
from helpers import stand_in_torch

pytestmark = pytest.mark.skipif(pickle.HIGHEST_PROTOCOL < 5, reason="no buffers beside pickles")

pd: Any = pytest.importorskip("pandas")
pa: Any = pytest.importorskip("pyarrow")

COUNT = 20_000


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What stands for PyTorch."""
    return stand_in_torch.install_until_undone(monkeypatch)


@pytest.fixture
def allowed() -> Iterator[None]:
    """Memory of devices may be copied."""
    context.device_memory = True
    yield
    context.device_memory = False


def tensor(kind: str = "float32", count: int = COUNT, **options: Any) -> Any:
    """A tensor of the stand-in."""
    dtype = stand_in_torch.TYPES[kind]
    return stand_in_torch.Tensor(np.arange(count).astype(dtype.numpy_name), dtype, **options)


def journey(value: Any, protocol: int = 5) -> tuple[Any, int]:
    """Return what arrives of a value, and the size of what travelled beside the pickle."""
    body, buffers = dumps(value, protocol, dumps_value)
    beside = sum(map(len, buffers))
    assert not beside or len(body) < 2000
    return loads(body, buffers=[bytearray(buffer) for buffer in buffers]), beside


def equal(one: Any, other: Any) -> bool:
    """Whether two values of a library are equal."""
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    return bool(one.dtype == other.dtype and np.array_equal(one, other))


BESIDE: dict[str, Callable[[], Any]] = {
    "numbers": lambda: np.arange(COUNT),
    "dates": lambda: np.arange(COUNT).astype("M8[s]"),
    "periods": lambda: np.asfortranarray(np.arange(COUNT).reshape(2, -1).astype("m8[ms]")),
    "frame": lambda: pd.DataFrame({"a": np.arange(COUNT), "b": np.random.default_rng(1).random(COUNT)}),
    "dates of pandas": lambda: pd.DataFrame({"d": pd.date_range("2020", periods=COUNT, freq="s")}),
    "dates with a zone": lambda: pd.Series(pd.date_range("2020", periods=COUNT, freq="s", tz="UTC")),
    "categories": lambda: pd.Series(["a", "b"] * 2 * COUNT).astype("category"),
    "part of a frame": lambda: pd.DataFrame(np.ones((COUNT, 4)))[10:-10],
    "table of Arrow": lambda: pa.table({"a": np.arange(COUNT), "s": ["text"] * COUNT}),
    "array of Arrow": lambda: pa.array(np.arange(COUNT)),
}


@pytest.mark.parametrize("make", BESIDE.values(), ids=BESIDE)
def test_memory_beside_the_pickle(make: Callable[[], Any]) -> None:
    """Columns, arrays and dates travel beside the pickle, and arrive equal."""
    value = make()
    found, beside = journey(value)

    assert equal(found, value)
    assert type(found) is type(value)
    assert beside >= COUNT


def test_dates_in_the_pickle() -> None:
    """Dates that lie apart, few of them, and older protocols, are as good."""
    dates = np.arange(COUNT).astype("M8[s]")

    for value, protocol in ((dates[::2], 5), (dates[:3], 5), (dates, 4), (np.datetime64("2020"), 5)):
        found, beside = journey(value, protocol)
        assert (np.array_equal(found, value), found.dtype, beside) == (True, value.dtype, 0)
    assert journey(dates)[0].flags.writeable


@pytest.mark.parametrize("kind", ["float32", "int64", "bfloat16"])
def test_tensors(torch: Any, kind: str) -> None:
    """The numbers of a tensor travel beside the pickle, also of types that NumPy does not have."""
    value = tensor(kind)
    found, beside = journey(value)

    assert beside == value.array.nbytes
    assert (found.dtype, found.shape, found.requires_grad) == (value.dtype, (COUNT,), False)
    assert np.array_equal(found.array, value.array)
    assert found.array.flags.writeable


def test_other_tensors(torch: Any) -> None:
    """Shapes, small and empty tensors arrive as they are; what PyTorch alone knows to pickle is left to it."""
    small = tensor(count=6).reshape((2, 3)).requires_grad_()
    found, beside = journey(small)
    assert (found.shape, found.requires_grad, found.array.tolist(), beside) == (
        (2, 3),
        True,
        [[0, 1, 2], [3, 4, 5]],
        0,
    )
    assert journey(tensor(count=0).reshape((0, 3)))[0].shape == (0, 3)

    noted = tensor()
    noted.note = 5
    apart = stand_in_torch.Tensor(np.arange(COUNT).astype("f4")[::2], stand_in_torch.TYPES["float32"])
    for value, protocol in ((noted, 5), (apart, 5), (tensor(), 4)):
        body, buffers = dumps(value, protocol, dumps_value)
        assert not buffers
        assert b"frombuffer" not in body
        assert np.array_equal(loads(body).array, value.array)


def test_memory_of_devices(torch: Any) -> None:
    """It is not copied: the error names the device, the copy to write, and the option that allows it."""
    value = tensor().cuda()

    with pytest.raises(SerializationError) as caught:
        dumps_value([{"deep": value}], 5)
    assert str(caught.value) == (
        "a torch.Tensor in the memory of cuda:0 is not copied to a device of the other end: copy it to the memory"
        " of its host by .cpu(), or allow it by easycluster.options(client, device_memory=True)"
    )
    with pytest.raises(SerializationError, match=r"a torch\.TypedStorage in the memory of cuda:1"):
        dumps_value(torch.storage.TypedStorage("cuda:1"), 4)
    assert np.array_equal(journey(value.cpu())[0].array, value.array)


def test_memory_of_devices_that_is_allowed(torch: Any, allowed: None) -> None:
    """It is left to the library."""
    found, beside = journey(tensor().cuda())

    assert (str(found.device), beside) == ("cuda:0", 0)
    assert loads(dumps_value(torch.storage.TypedStorage("cuda:1"), 4)).device.name == "cuda:1"


def test_arrays_of_cupy() -> None:
    """They are in the memory of a device, too."""

    class Array:
        device = "<CUDA Device 0>"

    Array.__module__, Array.__qualname__ = "cupy", "ndarray"
    reduction = find_library_reduction(Array, 5)
    assert reduction is not None

    with pytest.raises(SerializationError, match=r"in the memory of CUDA Device 0 .* by \.get\(\)"):
        reduction(Array())


def test_nothing_is_imported() -> None:
    """Classes are known by their names alone."""
    assert find_library_reduction(dict, 5) is None
    assert find_library_reduction(type("Tensor", (), {"__module__": "mine"}), 5) is None
    assert "torch" not in sys.modules or sys.modules["torch"].__name__ == "torch"
