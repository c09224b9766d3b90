"""Stands for PyTorch, which is too large for the tests: tensors on NumPy's arrays, some of them on a "GPU".

The source runs in any process: `install` makes it the module ``torch``.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np


class dtype:  # noqa: N801 -- as in PyTorch
    """The type of a tensor's numbers."""

    def __init__(self, name: str, numpy_name: str) -> None:
        self.name, self.numpy_name = name, numpy_name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


TYPES = {
    name: dtype(name, numpy_name)
    # bfloat16 is one that NumPy does not have.
    for name, numpy_name in (("uint8", "u1"), ("float32", "f4"), ("int64", "i8"), ("bfloat16", "u2"))
}

#: Each copy of a tensor to a "GPU" in this process.
initialised: list[str] = []


class device:  # noqa: N801
    """Where a tensor is."""

    def __init__(self, name: str) -> None:
        self.name, self.type = name, name.partition(":")[0]

    def __repr__(self) -> str:
        return self.name


class Tensor:
    """A tensor."""

    layout = "torch.strided"
    is_quantized = False
    _backward_hooks = None

    def __init__(self, array: Any, kind: dtype, where: str = "cpu", requires_grad: bool = False) -> None:
        fields = {"array": array, "dtype": kind, "device": device(where), "requires_grad": requires_grad}
        _fields[id(self)] = fields
        if where != "cpu":
            initialised.append(where)

    def __getattr__(self, name: str) -> Any:
        if name in ("array", "dtype", "device", "requires_grad"):
            return _fields[id(self)][name]
        raise AttributeError(name)

    @property
    def shape(self) -> Any:
        return self.array.shape

    def is_contiguous(self) -> bool:
        return bool(self.array.flags.c_contiguous)

    def is_conj(self) -> bool:
        return False

    def is_neg(self) -> bool:
        return False

    def cpu(self) -> Tensor:
        return Tensor(self.array, self.dtype)

    def cuda(self) -> Tensor:
        return Tensor(self.array, self.dtype, "cuda:0")

    def detach(self) -> Tensor:
        return Tensor(self.array, self.dtype, self.device.name)

    def reshape(self, shape: Any) -> Tensor:
        return Tensor(self.array.reshape(shape), self.dtype)

    def view(self, kind: dtype) -> Tensor:
        return Tensor(self.array.view(kind.numpy_name), kind)

    def numpy(self) -> Any:
        if self.requires_grad or self.device.type != "cpu" or self.dtype.name == "bfloat16":
            raise TypeError("no")
        return self.array

    def requires_grad_(self) -> Tensor:
        _fields[id(self)]["requires_grad"] = True
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (self.array.tobytes(), self.array.shape, self.dtype.name, self.device.name)


#: The fields of tensors, which have no attributes but those that scripts set.
_fields: dict[int, dict[str, Any]] = {}


class Storage:
    """The memory of a tensor."""

    def __init__(self, where: str) -> None:
        self.device = device(where)


Storage.__qualname__ = Storage.__name__ = "TypedStorage"
Storage.__module__ = "torch.storage"


def _rebuild(data: bytes, shape: Any, name: str, where: str) -> Tensor:
    kind = TYPES[name]
    return Tensor(np.frombuffer(bytearray(data), kind.numpy_name).reshape(shape), kind, where)


def frombuffer(memory: Any, dtype: dtype) -> Tensor:
    """Return a tensor in this memory."""
    return Tensor(np.frombuffer(memory, dtype.numpy_name), dtype)


def empty(shape: Any, dtype: dtype) -> Tensor:
    """Return a tensor of any numbers."""
    return Tensor(np.empty(shape, dtype.numpy_name), dtype)


def install() -> Any:
    """Make this the module ``torch``, and return it."""
    module: Any = types.ModuleType("torch")
    storage: Any = types.ModuleType("torch.storage")
    vars(module).update(
        Tensor=Tensor, storage=storage, frombuffer=frombuffer, empty=empty, initialised=initialised, **TYPES
    )
    vars(module)["_rebuild"] = _rebuild
    storage.TypedStorage = Storage
    Tensor.__module__ = _rebuild.__module__ = "torch"
    sys.modules["torch"], sys.modules["torch.storage"] = module, storage
    return module


def install_until_undone(patches: Any) -> Any:
    """Make this the module ``torch`` until a `pytest.MonkeyPatch` is undone; return it, with no copy to a GPU noted."""
    for name in ("torch", "torch.storage"):
        patches.setitem(sys.modules, name, None)
    del initialised[:]
    return install()
