"""Proxies of classes with very many names, such as tensors: cheap to name, and never copied in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import easycluster
from easycluster_client._calls import response
from easycluster_protocol._values.object_pickle import loads_result
from helpers.pythons import find_pythons
from helpers.sshd import Sshd

MORE = """
calls = []

class Tensor(ServerObject):
    def __init__(self, *values):
        self.values = values
    def __len__(self):
        calls.append("len")
        return len(self.values)
    def __getitem__(self, index):
        calls.append("getitem")
        return self.values[index]
    def __array__(self, *args, **kwargs):
        raise AssertionError("asked")
    def __add__(self, other):
        return Tensor(*(value + other for value in self.values))
    def __radd__(self, other):
        return "radd", len(other)
    def cpu(self):
        return self
    def numpy(self):
        return list(self.values)
    def pair(self):
        return {"both": [self, Tensor(1)]}
    def stream(self, count):
        for number in range(count):
            yield Tensor(number)

for number in range(700):
    exec(f"def method_{number}(self): return {number}")
    setattr(Tensor, f"method_{number}", globals().pop(f"method_{number}"))

class Plain(ServerObject):
    def __len__(self):
        return 2
    def __getitem__(self, index):
        return (5, 6)[index]

class Scalar(ServerObject):
    def __array__(self):
        raise AssertionError("asked")
"""


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the answers that name objects."""
    sizes: list[int] = []
    load = loads_result

    def noted(body: Any, buffers: Any) -> Any:
        sizes.append(len(body))
        return load(body, buffers)

    monkeypatch.setattr(response, "loads_result", noted)
    return sizes


def test_named_once(far: Any, bodies: list[int]) -> None:
    """One answer lists the names of a class; the next ones, also in containers and of iterators, do not."""
    first = far.Tensor(1, 2)
    del bodies[:]

    second = first + 5
    pair = first.pair()["both"]
    stream = list(easycluster.options(first.stream(100), prefetch=20))

    assert max(bodies) < 250
    assert len(bodies) > 100
    assert {type(each) for each in (first, second, *pair, *stream)} == {type(first)}
    assert pair[0] is first
    assert (second.cpu().numpy(), second.method_7()) == ([6, 7], 7)
    assert type(first).__name__ == "Proxy[easycluster.remote_code.Tensor]"


def test_answers_that_are_not_read(far: Any, bodies: list[int]) -> None:
    """Calls whose responses are dropped teach nothing, and harm nothing."""
    for _ in range(5):
        easycluster.options(far, nonblocking=True).Tensor(1)
    assert not bodies

    assert far.Tensor(1).method_5() == 5
    del bodies[:]
    assert far.Tensor(2).method_6() == 6
    assert max(bodies) < 250


def test_several_threads(far: Any, bodies: list[int]) -> None:
    """Threads that learn a class at the same time agree."""
    found: list[Any] = []

    def make(thread: int) -> None:
        found.extend(easycluster.options(far, threadid=thread).Tensor(number) for number in range(20))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 80
    assert len({type(each) for each in found}) == 1
    assert sorted(each.cpu().numpy()[0] for each in found) == sorted([*range(20)] * 4)
    assert bodies[-1] < 250


def test_after_reconnecting(connect: Callable[..., Any], bodies: list[int]) -> None:
    """Another connection begins without knowing anything."""
    easycluster.define_common(MORE)
    client = connect()
    if not client.remote_port:
        pytest.skip("what spawn_local has made cannot be connected again")
    for _ in range(2):
        for _ in range(2):
            assert client.Tensor(3).method_3() == 3
        del bodies[:-1]
        assert bodies[0] < 250
        client.reconnect()
    assert client.Tensor(4).method_4() == 4


@pytest.mark.needs_sshd
@pytest.mark.parametrize("version", ["3.6", "3.8"])
def test_old_pythons(sshd: Sshd, version: str, bodies: list[int]) -> None:
    """Hosts that pickle objects in the older way name a class once as well."""
    easycluster.define_common(MORE)
    with easycluster.Client(
        host="h", ssh=True, rpython=find_pythons()[version], extra_args=sshd.options
    ) as client:
        first = client.Tensor(1)
        del bodies[:]
        assert [(first + number).cpu().numpy() for number in range(3)] == [[1], [2], [3]]
        assert max(bodies) < 250


def test_arrays_are_not_copied_in_silence(near: Any) -> None:
    """NumPy, and what uses DLPack or Arrow, gets an error that names the explicit copy; the host is not asked."""
    tensor, plain, scalar = near.Tensor(1, 2), near.Plain(), near.Scalar()

    for copy in (
        np.asarray,
        np.from_dlpack,
        lambda value: value.__dlpack_device__(),
        lambda value: value.__arrow_array__(),
        lambda value: np.asarray(easycluster.options(value, timeout=60)),
        lambda value: np.array([value, value]),
    ):
        with pytest.raises(
            TypeError, match=r"of object \d+ on local:\d+: .* Copy it by value\.cpu\(\)\.numpy\(\)"
        ):
            copy(tensor)
    for value in (plain, scalar):
        with pytest.raises(TypeError, match=r"Copy it by host\.call\(list, value\)"):
            np.asarray(value)
    assert near.call(list, plain) == [5, 6]
    with pytest.raises(TypeError, match="does not support ufuncs"):
        np.add(tensor, 1)
    assert near.eval("calls") == []
    for each in (tensor, easycluster.options(tensor, timeout=60)):
        assert np.ones(3) + each == ("radd", 3)  # the operation of the tensor, in one call
    assert not hasattr(tensor, "__cuda_array_interface__")
    assert not hasattr(tensor, "__array_interface__")
    assert list(tensor) == [1, 2]


def test_objects_that_are_no_arrays(near: Any) -> None:
    """Proxies of other objects can stand in arrays of objects."""
    near.execblock("class Simple(ServerObject): pass")
    simple = near.Simple()

    assert np.asarray(simple)[()] is simple
    assert np.array([simple, simple]).tolist() == [simple, simple]


def test_arrays_that_stay(near: Any) -> None:
    """An array of NumPy that stays on the server can be copied, and is no handle to memory here."""
    near.execblock("import numpy; make_server_class(numpy.ndarray)")
    array = near.numpy.arange(3)

    with pytest.raises(TypeError, match=r"Copy it by value\.tolist\(\)"):
        np.asarray(array)
    with pytest.raises(TypeError):
        memoryview(array)
    assert array.tolist() == [0, 1, 2]
    assert type(array).__name__ == "Proxy[numpy.ndarray]"
