"""Objects that stay on the server: which do, and what their classes export."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from easycluster import RemoteProxy, define_common
from easycluster_protocol.errors import SerializationError
from helpers.server_objects import kept, kind_of

UPGRADED_TOO = True
TLS_TOO = True

pytestmark = pytest.mark.usefixtures("object_definitions")

Connect = Callable[..., Any]


def test_methods_and_attributes(client: Any) -> None:
    """By default methods of each kind, and attributes: got, set, deleted, those that never change asked for once."""
    thing = client.Thing(3)

    assert (thing.static(1), thing.name()) == (2, "Thing")
    thing.value = 4
    thing.other = [thing]
    assert thing.other[0] is thing
    assert client.values([thing, {"key": [thing]}, [thing]]) == [4, 4, 4]
    del thing.other
    assert not hasattr(thing, "other")
    assert [thing.constant, thing.constant, thing.constant_asked] == ["constant", "constant", 1]
    assert thing._private() == "private"
    method = thing.itself
    assert client.call("run", method) is thing


def test_defaults_of_server_objects(local: Any) -> None:
    """The settings of `ServerObject` can be added to; None exports nothing; what is cached is asked for once even
    if it is exported as an attribute, too."""
    define_common(
        "class Added(ServerObject):\n"
        "    export_methods = ServerObject.export_methods + ('late',)\n"
        "    def early(self): return 'early'\n"
        "    def __getattr__(self, name):\n"
        "        if name == 'late':\n"
        "            return lambda: 'late'\n"
        "        raise AttributeError(name)\n"
        "class Nothing(ServerObject):\n"
        "    export_methods = export_attrs = export_attrs_cache = proxy_class = None\n"
        "class Both(ServerObject):\n"
        "    asked = 0\n"
        "    export_attrs = 'val', 'asked'\n"
        "    export_attrs_cache = 'val',\n"
        "    @property\n"
        "    def val(self):\n"
        "        self.asked += 1\n"
        "        return self.asked\n"
    )
    local.update_definitions()
    added, nothing, both = local.Added(), local.Nothing(), local.Both()

    assert (added.early(), added.late()) == ("early", "late")
    assert kind_of(nothing).__name__ == "dynamic_proxy"
    assert [both.val, both.val, both.asked] == [1, 1, 1]
    assert kind_of(both).__name__ == "dynamic_proxy_asked_val"


def test_special_methods(local: Any) -> None:
    """Formatting and paths work by proxies; what only Python 2 called may stand among the names."""
    define_common(
        "class Shown(ServerObject):\n"
        "    export_methods = '@auto', '__fspath__'\n"
        "    def __format__(self, how): return 'shown ' + how\n"
        "    def __fspath__(self): return '/shown'\n"
        "class Old(ServerObject):\n"
        "    export_methods = '__div__', '__truediv__', '__nonzero__', '__bool__', '__getslice__'\n"
        "    def __truediv__(self, other): return other\n"
        "    def __bool__(self): return False\n"
    )
    local.update_definitions()
    shown, old = local.Shown(), local.Old()

    assert (f"{shown:x}", os.fspath(shown)) == ("shown x", "/shown")
    assert (old / 5, bool(old)) == (5, False)


def test_special_attributes(local: Any) -> None:
    """Where any attribute may be asked for, also special ones can be read, but no special method be called."""
    thing = local.Thing(3)

    assert thing.raw_get_attribute("__dict__") == {"value": 3}
    assert thing.raw_get_attribute("__module__") == "easycluster.remote_code"
    assert thing.raw_get_attribute("__doc__") is None
    assert local.eval("__import__('json')").raw_get_attribute("__name__") == "json"
    for name in ("__init__", "__reduce_ex__", "__class__"):
        with pytest.raises(AttributeError, match=f"does not export '{name}'"):
            thing.raw_get_attribute(name, origexc="quiet")
    with pytest.raises(AttributeError, match="does not export '__dict__'"):
        thing.raw_set_attribute("__dict__", {}, origexc="quiet")


def test_missing_attributes_are_quiet(local: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """``hasattr`` and ``getattr`` with a default print nothing; the error is the server's."""
    thing, module = local.Thing(), local.eval("__import__('math')")

    assert not hasattr(thing, "nothing")
    assert getattr(module, "nothing", 5) == 5
    with pytest.raises(AttributeError, match="^'Thing' object has no attribute 'nothing'"):
        _ = thing.nothing
    assert capsys.readouterr().err == ""


def test_subclasses_have_their_own(local: Any) -> None:
    """A subclass of a class that was used exports its own, by name, by ``@auto`` or both; the server insists on it."""
    define_common(
        "class More(Thing):\n"
        "    export_methods = ('@auto', 'made_later')\n"
        "    export_attrs = 'value'\n"
        "    def __getattr__(self, name):\n"
        "        if name == 'made_later':\n"
        "            return lambda: 'late'\n"
        "        raise AttributeError(name)\n"
        "class Less(More):\n"
        "    export_methods = 'name'\n"
    )
    local.update_definitions()
    local.Thing()
    more, less = local.More(1), local.Less(2)

    assert (more.made_later(), more.itself() is more, more.value) == ("late", True, 1)
    assert (less.name(), less.value) == ("Less", 2)
    with pytest.raises(
        AttributeError, match="exported are the methods name and the attributes constant, value"
    ):
        less.itself()
    for attribute in ("itself", "_private", "__class__", "__dict__", "constant_asked"):
        for ask in (less.raw_get_attribute, less.raw_call_method):
            with pytest.raises(
                AttributeError, match=f"does not export '{attribute}'; it exports the methods name"
            ):
                ask(attribute, origexc="quiet")
        with pytest.raises(AttributeError, match="does not export"):
            less.raw_set_attribute(attribute, 1, origexc="quiet")
    with pytest.raises(AttributeError, match="does not export '__init__'"):
        local.Thing().raw_call_method("__init__", [3], origexc="quiet")


def test_classes_that_know_nothing(client: Any) -> None:
    """`make_server_class` on extension types, also those that pickling knows well, and for subclasses."""
    define_common(
        "import collections\n"
        "make_server_class(collections.deque)\n"
        "make_server_class(set, ('add', '__len__'), ())\n"
        "class Own(collections.deque):\n"
        "    def own(self):\n"
        "        return 'own'\n"
    )
    client.update_definitions()
    queue, own, members = client.eval("[collections.deque([1]), Own(), {1, 2}]")

    queue.append(2)
    assert (queue[1], len(queue), own.own()) == (2, 2, "own")
    members.add(3)
    assert len(members) == 3
    with pytest.raises(AttributeError, match="exported are the methods __len__, add"):
        members.clear()


def test_singletons(client: Any) -> None:
    """`make_singleton` on a list: that list stays, wherever it stands; others are copied."""
    client.execblock("make_singleton(singleton)")
    proxy = client.eval("singleton")

    proxy.append(proxy)
    proxy.append([5])
    assert client.eval("singleton[0] is singleton and len(singleton)") == 2
    value = client.eval("{'there': (singleton, [singleton, 1], same)}")
    assert value["there"][0] is value["there"][1][0] is proxy
    assert value["there"][2].value == 7
    assert proxy[1] == [5]
    del proxy, value
    kept(client, 0)


def test_wrong_settings(local: Any) -> None:
    """A class that exports what cannot be exported costs the calls that return it, with an error that says so."""
    define_common("class Wrong(ServerObject):\n    export_methods = ('fine', '__class__')\n")
    local.update_definitions()

    with pytest.raises(
        SerializationError, match="export_methods of Wrong holds '__class__', which cannot be exported"
    ):
        local.Wrong(origexc="quiet")
    kept(local, 0)


def test_made_on_the_client(local: Any) -> None:
    """An instance of such a class that was made on the client goes by value, and stays where it arrives."""
    import easycluster.remote_code as code

    here = code.Thing(12)
    there = local.call("Thing.itself", here)
    here.value = 13

    assert issubclass(kind_of(there), RemoteProxy)
    assert there.value == 12
