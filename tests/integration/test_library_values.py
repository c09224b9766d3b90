"""Values of PyTorch, pandas and Arrow in calls: their memory beside the pickle, that of devices only if allowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import easycluster
from helpers import stand_in_torch

pd: Any = pytest.importorskip("pandas")
pa: Any = pytest.importorskip("pyarrow")

COUNT = 50_000

MORE = """
def same(value):
    return value

def make(where):
    import numpy, torch
    value = torch.Tensor(numpy.arange(6).astype("f4"), torch.float32)
    return value.cuda() if where == "gpu" else value

def many(where):
    yield make(where)

class Net(ServerObject):
    @property
    def weights(self):
        return make("gpu")
    def forward(self, value):
        return value
"""


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What stands for PyTorch here."""
    return stand_in_torch.install_until_undone(monkeypatch)


def install_there(client: Any) -> None:
    """Let the host have what stands for PyTorch."""
    client.execblock(
        "import sys, types\n"
        "module = types.ModuleType('stand_in_torch')\n"
        "sys.modules['stand_in_torch'] = module\n"
        f"exec(compile({inspect.getsource(stand_in_torch)!r}, 'stand_in_torch', 'exec'), vars(module))\n"
        "module.install()"
    )


def test_tensors(far: Any, torch: Any) -> None:
    """A tensor goes there and back."""
    install_there(far)
    value = torch.Tensor(np.arange(COUNT).astype("f4"), torch.float32)

    found = far.same({"deep": [value]})["deep"][0]

    assert type(found) is torch.Tensor
    assert np.array_equal(found.array, value.array)
    assert np.array_equal(far.call(lambda value: value, value).array, value.array)  # by value


def test_memory_of_devices(near: Any, torch: Any) -> None:
    """A result or argument on a device is an error that names it and the way; nothing is initialised for it."""
    install_there(near)
    on_gpu = make_on_gpu(torch)

    for call, what in (
        (lambda: near.make("gpu", origexc="quiet"), "the result of make cannot be sent"),
        (lambda: near.same(on_gpu), r"argument 1 of same \(type Tensor\) cannot be sent"),
        (lambda: near.Net().weights, "the result of get_attribute cannot be sent"),
        (lambda: list(near.many("gpu")), "the result of __next__ cannot be sent"),
    ):
        with pytest.raises(
            easycluster.SerializationError,
            match=rf"{what}: .* torch\.Tensor in the memory of cuda:0 .*device_memory",
        ):
            call()
    assert stand_in_torch.initialised == []
    assert near.make("cpu").array.tolist() == [0, 1, 2, 3, 4, 5]


def make_on_gpu(torch: Any) -> Any:
    """Return a tensor on a device."""
    value = torch.Tensor(np.arange(6).astype("f4"), torch.float32).cuda()
    del stand_in_torch.initialised[:]
    return value


def test_memory_of_devices_that_is_allowed(far: Any, torch: Any) -> None:
    """An option allows it, for functions, methods, attributes and iterators, in both directions, and for no other call."""
    install_there(far)
    on_gpu = make_on_gpu(torch)
    allowing = easycluster.options(far, device_memory=True)

    assert str(allowing.make("gpu").device) == "cuda:0"
    assert stand_in_torch.initialised == ["cuda:0"]
    assert str(allowing.same(on_gpu).device) == "cuda:0"
    net = far.Net()
    assert str(easycluster.options(net, device_memory=True).weights.device) == "cuda:0"
    assert str(easycluster.options(net, device_memory=True).forward(on_gpu).device) == "cuda:0"
    values = list(easycluster.options(far.many("gpu"), device_memory=True, prefetch=3))
    assert [str(value.device) for value in values] == ["cuda:0"]
    response = easycluster.options(far, device_memory=True, nonblocking=True).call("make", "gpu")
    assert str(response.wait().device) == "cuda:0"
    with pytest.raises(easycluster.SerializationError):
        far.make("gpu", origexc="quiet")
    with pytest.raises(easycluster.SerializationError):
        far.same(on_gpu)
    assert easycluster.options(far, device_memory=False).same(5) == 5


VALUES: dict[str, Callable[[], Any]] = {
    "frame": lambda: pd.DataFrame(
        {"a": np.arange(COUNT), "d": pd.date_range("2020", periods=COUNT, freq="s")}
    ),
    "series": lambda: pd.Series(["text"] * COUNT),
    "table": lambda: pa.table({"a": np.arange(COUNT), "s": ["text"] * COUNT}),
}


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
def test_tables(far: Any, make: Callable[[], Any]) -> None:
    """Tables go there and back."""
    value = make()

    found = far.same([value])[0]

    assert type(found) is type(value)
    assert found.equals(value)
