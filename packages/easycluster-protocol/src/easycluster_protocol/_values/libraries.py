"""Reductions of values of libraries, by the names of their classes; no library is imported for them.

The memory of PyTorch's tensors, and of NumPy's dates, travels beside the pickle, as that of NumPy's numbers
does. Arrow and pandas see to that themselves. Values in the memory of a device, as of a GPU, are refused:
the other end would initialise its own device for a copy, or has none.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from easycluster_protocol._objects.proxies import context
from easycluster_protocol.errors import SerializationError

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer, Value

    #: Returns how a value is pickled; the first argument is the pickle protocol.
    LibraryReduction = Callable[[int, Any], Any]

#: The devices of PyTorch whose memory is that of the process, or which have none.
_HOST_DEVICES = ("cpu", "meta")


def find_library_reduction(cls: type, protocol: int) -> Optional[Callable[[Value], Any]]:
    """Return the reduction for a class of a library, or None if that of the class itself will do."""
    reduction = _REDUCTIONS.get((cls.__module__, cls.__qualname__))
    return None if reduction is None else partial(reduction, protocol)


def _refuse_device(value: Any, device: str, copy: str) -> None:
    """Raise unless the call may copy values in the memory of devices.

    Args:
        value: the value.
        device: the name of its device.
        copy: what the user can write to copy the value to the memory of its process.
    """
    if getattr(context, "device_memory", False):
        return
    name = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    raise SerializationError(
        f"a {name} in the memory of {device} is not copied to a device of the other end: copy it to the"
        f" memory of its host by {copy}, or allow it by easycluster.options(client, device_memory=True)"
    )


def _reduce_tensor(protocol: int, tensor: Any) -> Any:
    if tensor.device.type not in _HOST_DEVICES:
        _refuse_device(tensor, str(tensor.device), ".cpu()")
    elif protocol >= 5:
        try:
            memory = _find_memory(tensor)
        except Exception:  # a tensor of another kind, or a PyTorch without NumPy
            memory = None
        if memory is not None:
            dtype = str(tensor.dtype).rpartition(".")[2]
            return make_tensor, (memory, dtype, tuple(tensor.shape), tensor.requires_grad)
    return tensor.__reduce_ex__(protocol)


def _find_memory(tensor: Any) -> Any:
    """Return the memory of a tensor of which nothing else needs to be known than its type and shape."""
    from _pickle import PickleBuffer  # novm -- protocol 5 knows it

    is_plain = (
        str(tensor.layout) == "torch.strided"
        and tensor.device.type == "cpu"
        and tensor.is_contiguous()
        and not (tensor.is_conj() or tensor.is_neg() or tensor.is_quantized)
        and not (vars(tensor) or tensor._backward_hooks)
    )
    if not is_plain:
        return None
    uint8 = sys.modules["torch"].uint8
    return PickleBuffer(tensor.detach().reshape(-1).view(uint8).numpy())


def make_tensor(memory: Buffer, dtype: str, shape: Tuple[int, ...], requires_grad: bool) -> Value:
    """Return a tensor of PyTorch.

    Args:
        memory: its numbers, which it takes over.
        dtype: the name of their type.
        shape: its shape.
        requires_grad: whether operations with it are recorded.
    """
    torch: Any = __import__("torch")
    kind = getattr(torch, dtype)
    if len(memory):
        tensor = torch.frombuffer(memory, dtype=torch.uint8).view(kind).reshape(shape)
    else:
        tensor = torch.empty(shape, dtype=kind)
    return tensor.requires_grad_() if requires_grad else tensor


def _reduce_storage(protocol: int, storage: Any) -> Any:
    """Tensors of subclasses are pickled with their storage."""
    # A `TypedStorage` warns when it is asked itself.
    device = getattr(storage, "_untyped_storage", storage).device
    if device.type not in _HOST_DEVICES:
        _refuse_device(storage, str(device), ".cpu()")
    return storage.__reduce_ex__(protocol)


def _reduce_cupy(protocol: int, array: Any) -> Any:
    _refuse_device(array, str(array.device).strip("<>"), ".get()")
    return array.__reduce_ex__(protocol)


def _reduce_array(protocol: int, array: Any) -> Any:
    """NumPy lends no memory of dates and periods, but that of the numbers behind them."""
    flags = array.flags
    if protocol < 5 or array.dtype.kind not in "mM" or not (flags.c_contiguous or flags.f_contiguous):
        return array.__reduce_ex__(protocol)
    return view_array, (array.view("i8"), array.dtype)


def view_array(numbers: Any, dtype: Any) -> Value:
    """Return the array of NumPy that has these numbers and another type of the same size."""
    return numbers.view(dtype)


#: Module and name of a class → its reduction.
_REDUCTIONS: Dict[Tuple[str, str], LibraryReduction] = {
    ("torch", "Tensor"): _reduce_tensor,
    ("torch.storage", "TypedStorage"): _reduce_storage,
    ("torch.storage", "UntypedStorage"): _reduce_storage,
    ("cupy", "ndarray"): _reduce_cupy,
    ("cupy._core.core", "ndarray"): _reduce_cupy,
    ("numpy", "ndarray"): _reduce_array,
}
