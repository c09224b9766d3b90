"""`easycluster.options` of proxies: methods, attributes, operators, iteration, ``with``; over every transport."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from easycluster import CallTimeout, NonblockingResponse, RemoteException, options as with_options
from helpers.server_objects import kind_of
from helpers.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = """
import threading

class BaseProxy(RemoteProxy):
    proxy_methods = 'thread'
    proxy_attrs = ('value', 'place')

class DerivedProxy(BaseProxy):
    proxy_methods = ('add', 'own')
    proxy_attrs_cache = 'constant'
    def own(self):
        return 'here'
    def __len__(self):
        return 11

class Derived(ServerObject):
    proxy_class = DerivedProxy
    constant_asked = value = 0
    @property
    def constant(self):
        self.constant_asked += 1
        return self.constant_asked
    @property
    def place(self):
        return self.thread()
    def thread(self):
        return threading.current_thread().name
    def add(self, a, timeout=1):
        return a + timeout
    def own(self):
        return 'there'

class Places(ServerObject):
    def place(self, *_):
        return threading.current_thread().name
    __neg__ = __add__ = __getitem__ = __enter__ = place
    def __iter__(self):
        return (self.place() for _ in range(3))
    def __exit__(self, *error):
        self.left = (self.place(), *map(type, error[:2]))
        return True
    def wait(self, path):
        while not __import__('os').path.exists(path):
            pass
        return 'waited'
"""


def test_methods_and_attributes(far: Any) -> None:
    """What the proxy class and its bases forward carries the options; `timeout` of a call is the method's."""
    proxy = far.Derived()
    view = with_options(with_options(proxy, threadid=7), timeout=PATIENCE)

    assert (view.thread(), view.place, proxy.place) == ("easycluster-7", "easycluster-7", "MainThread")
    assert (view.add(1, timeout=4), view.add(1)) == (5, 2)
    view.value = 5
    assert (proxy.value, view.value) == (5, 5)
    assert [view.constant, view.constant, proxy.constant] == [1, 1, 1]
    assert (view.own(), len(view), view.proxy_object_id) == ("here", 11, proxy.proxy_object_id)
    assert repr(view) == f"<{proxy!r} with threadid=7, timeout={PATIENCE!r}>"
    assert {"thread", "add", "constant"} <= set(dir(view))


def test_any_attribute(far: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy that forwards every name does so by its view, too; a missing one is quiet."""
    proxy = far.Places()
    view = with_options(proxy, threadid=7)
    view.new = 5

    assert (view.new, proxy.new, view.place()) == (5, 5, "easycluster-7")
    del view.new
    assert not hasattr(view, "new")
    assert capsys.readouterr().err == ""
    module = far.eval("__import__('math')")
    assert with_options(module, timeout=PATIENCE).sqrt(16.0) == 4.0
    assert with_options(module, timeout=PATIENCE).pi == module.pi


def test_what_is_not_exported(far: Any) -> None:
    """What the proxy refuses its view refuses; nothing is set on either."""
    far.execblock(
        "class Less(ServerObject):\n    export_methods = 'f'\n    export_attrs = 'x'\n    f = x = len"
    )
    proxy = far.Less()
    view = with_options(proxy, timeout=PATIENCE)

    for attempt in (lambda: view.g, lambda: setattr(view, "g", 1), lambda: setattr(view, "f", 1)):
        with pytest.raises(AttributeError, match="'dynamic_proxy_f_x' object"):
            attempt()
    assert list(vars(proxy)) == ["_easycluster_state"]


def test_operators(far: Any) -> None:
    """Operators carry the options, and wait for their value whatever these say."""
    view = with_options(far.Places(), threadid=7, nonblocking=True)

    assert [-view, view + 1, view[0]] == ["easycluster-7"] * 3
    with pytest.raises(TypeError):
        len(view)
    vector = far.Vector(1, 2, 3)
    same = several = with_options(vector, timeout=PATIENCE)
    several += 10
    assert several is same
    assert (list(vector), 11 in several, bool(several)) == ([11, 12, 13], True, True)
    assert several(5, timeout=1) == ((5,), {"timeout": 1})
    several[0] = 4
    del several[1]
    assert list(several) == [4, 13]


def test_iteration(far: Any) -> None:
    """Each step of an iteration carries the options."""
    view = with_options(far.Places(), threadid=7)
    iterator = iter(view)

    assert list(view) == ["easycluster-7"] * 3
    assert iter(iterator) is iterator
    assert next(iterator) == "easycluster-7"
    numbers = with_options(far.generate(3), timeout=PATIENCE)
    assert iter(numbers) is numbers
    assert [next(numbers), *numbers] == [0, 1, 2]


def test_context_managers(far: Any, tmp_path: Path) -> None:
    """Entering and leaving carry the options; no traceback is sent."""
    proxy = far.Places()

    with with_options(proxy, threadid=7, nonblocking=True) as entered:
        raise ValueError("swallowed")
    assert entered == "easycluster-7"
    assert proxy.left == ("easycluster-7", type, ValueError)
    file = far.file(str(tmp_path / "file"), "w")
    with with_options(file, timeout=PATIENCE) as view:
        view.write("text")
    assert file.closed


def test_options_of_one_call(far: Any, tmp_path: Path) -> None:
    """A limit ends the waiting, `nonblocking` gives responses, `origexc` exceptions; a call's own go first."""
    proxy = far.Places()
    path = str(tmp_path / "go on")
    with pytest.raises(CallTimeout) as caught:
        with_options(proxy, timeout=0.01, threadid=3).wait(path)
    Path(path).touch()
    assert caught.value.response.wait() == "waited"
    derived = far.Derived()
    started = with_options(derived, nonblocking=True)

    assert isinstance(started.add(1), NonblockingResponse)
    assert started.add(1, nonblocking=False) == 2
    assert isinstance(started.place, NonblockingResponse)
    assert started.place.wait() == "MainThread"
    with pytest.raises(RemoteException):
        with_options(derived, origexc=False).add()
    with pytest.raises(RemoteException):
        _ = with_options(proxy, origexc=False).nothing


def test_raw_methods(far: Any) -> None:
    """The raw methods of proxies and views take the options of every call, and no others."""
    proxy = far.Derived()
    for each in (proxy, with_options(proxy, origexc=False)):
        assert each.raw_call_method("add", [1], {"timeout": 2}, timeout=PATIENCE, threadid=5) == 3
        each.raw_set_attribute("value", 3, threadid=5)
        assert each.raw_get_attribute("place", threadid=5) == "easycluster-5"
        assert each.raw_get_attribute("value", nonblocking=True).wait() == 3
        for name, *arguments in (
            ("raw_call_method", "add", [1]),
            ("raw_get_attribute", "value"),
            ("raw_set_attribute", "value", 1),
        ):
            with pytest.raises(TypeError, match="unexpected keyword argument 'limit'"):
                getattr(each, name)(*arguments, limit=1)
    assert proxy.value == 3
    assert kind_of(proxy).__name__ == "DerivedProxy"
