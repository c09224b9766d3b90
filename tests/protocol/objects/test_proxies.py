"""Proxies, without a connection: what they forward, what they refuse, and what nobody can make them do."""

from __future__ import annotations

import copy
import pickle
import rlcompleter
from collections.abc import Sequence
from typing import Any

import pytest

from easycluster_protocol._objects import proxies
from easycluster_protocol._objects.proxies import RemoteProxy, find_object, find_proxy
from easycluster_protocol._objects.proxy_methods import ProxyMethod
from helpers.fake_proxies import NAMES, References, make, sent

# What is forwarded.


def test_methods() -> None:
    """Methods and operators are forwarded with their arguments; other methods are not there."""
    proxy = make(NAMES)

    assert proxy.method(1, [2], key=3) == "answer"
    assert proxy + 4 == "answer"
    assert sent(proxy) == [("method", (1, [2]), {"key": 3}), ("__add__", (4,), {})]
    with pytest.raises(TypeError):
        _ = proxy - 4
    with pytest.raises(TypeError):
        len(proxy)


def test_attributes() -> None:
    """Attributes are got, set and deleted on the server; cached ones are asked for once, and again after a change."""
    proxy = make(NAMES)

    assert proxy.val == "answer"
    proxy.val = 5
    del proxy.val
    assert [proxy.constant, proxy.constant] == ["answer", "answer"]
    assert sent(proxy) == [
        ("get", "val"),
        ("set_attribute", ("val", 5), None),
        ("delete_attribute", ("val",), None),
        ("get", "constant"),
    ]
    del sent(proxy)[:]
    proxy.constant = 5
    assert proxy.constant == proxy.constant == "answer"
    del proxy.constant
    assert proxy.constant == "answer"
    assert sent(proxy) == [
        ("set_attribute", ("constant", 5), None),
        ("get", "constant"),
        ("delete_attribute", ("constant",), None),
        ("get", "constant"),
    ]


def test_missing_attributes() -> None:
    """The error begins as documented, then says what is exported, without asking the server."""
    proxy = make((("getval",), ("val",), (), False))

    with pytest.raises(AttributeError) as caught:
        proxy.non_existant_method()

    assert str(caught.value) == (
        "'dynamic_proxy_getval_val' object has no attribute 'non_existant_method'; "
        "exported are the methods getval and the attributes val"
    )
    assert sent(proxy) == []
    with pytest.raises(AttributeError, match=r"methods \(none\) and the attributes \(none\)$"):
        _ = make(((), (), (), False)).x


def test_errors_of_exported_attributes() -> None:
    """An exported attribute that has no value raises the server's own error."""
    proxy = make(NAMES)
    proxy._easycluster_state.answer = AttributeError("the server's words")

    with pytest.raises(AttributeError, match="^the server's words$"):
        _ = proxy.val


def test_classes_by_hand_keep_their_own() -> None:
    """A proxy of a class that was written by hand may have attributes of its own."""

    class Mine(RemoteProxy):
        proxy_methods = "f"

    proxy = make(Mine)
    proxy.mark = 5

    assert (proxy.mark, sent(proxy)) == (5, [])


def test_context_managers() -> None:
    """``__exit__`` is told of an exception, but not given its traceback, and may swallow it."""
    proxy = make((("__enter__", "__exit__"), (), (), False))
    error = ValueError("inside")

    with proxy as entered:
        assert entered == "answer"
        raise error  # the answer of __exit__ is true

    assert sent(proxy) == [("__enter__", (), {}), ("__exit__", (ValueError, error, None), {})]


def test_raw_methods() -> None:
    """The raw methods reach names that the proxy class does not have, with the options of calls."""
    proxy = make(NAMES)

    proxy.raw_call_method("f", [1], {"origexc": 2}, nonblocking=True)
    proxy.raw_get_attribute("g", threadid=3)
    proxy.raw_set_attribute("h", 4)

    assert sent(proxy) == [
        ("f", (1,), {"origexc": 2}, {"nonblocking": True}),
        ("get_attribute", ("g",), {"threadid": 3}),
        ("set_attribute", ("h", 4), {}),
    ]


def test_options_by_position() -> None:
    """The five options can be given by position, as published EasyCluster has them; the rest is refused."""
    proxy = make(NAMES)

    proxy.raw_call_method("f", (), {}, True, 1, 2, 3, "quiet")
    proxy.raw_get_attribute("g", True, threadid=3)
    proxy.raw_set_attribute("h", 4, False)

    assert [each[-1] for each in sent(proxy)] == [
        {"nonblocking": True, "oncomplete": 1, "onerror": 2, "threadid": 3, "origexc": "quiet"},
        {"nonblocking": True, "threadid": 3},
        {"nonblocking": False},
    ]
    with pytest.raises(TypeError, match="5 options at most, 6 were given"):
        proxy.raw_get_attribute("g", 1, 2, 3, 4, 5, 6)
    with pytest.raises(TypeError, match="multiple values for argument 'nonblocking'"):
        proxy.raw_get_attribute("g", True, nonblocking=True)
    with pytest.raises(
        TypeError, match="unexpected keyword argument 'limit': options are nonblocking, .*kwargs="
    ):
        proxy.raw_call_method("g", limit=5)


# Classes of proxies.


def test_proxy_classes_with_other_bases() -> None:
    """A proxy class may inherit from an abstract or a concrete class, and `isinstance` says so."""

    class Listed(RemoteProxy, Sequence[Any]):  # pyright: ignore[reportGeneralTypeIssues]
        proxy_methods = ("__getitem__", "__len__")

    class Error(RemoteProxy, KeyError):
        proxy_methods = ("solve",)

    listed = make(Listed)
    assert isinstance(listed, Sequence)
    assert listed[3] == "answer"
    assert isinstance(make(Error), LookupError)
    assert make(Error).solve() == "answer"


def test_subclasses_of_proxy_classes() -> None:
    """Names given as one text or a sequence add up over the bases; a method defined by hand stays local."""

    class Base(RemoteProxy):
        proxy_methods: Any = "one"
        proxy_attrs = ("val",)

    class Derived(Base):
        proxy_methods = ("two", "three")

        def three(self) -> str:
            return "local"

    proxy = make(Derived)
    assert (proxy.one(), proxy.two(), proxy.three(), proxy.val) == ("answer", "answer", "local", "answer")
    with pytest.raises(
        AttributeError, match="exported are the methods one, three, two and the attributes val"
    ):
        _ = proxy.four


# What is told without asking.


class Printer:
    """What IPython gives to objects that display themselves."""

    def __init__(self) -> None:
        self.printed = ""

    def text(self, text: str) -> None:
        self.printed += text


def display(proxy: Any) -> str:
    """What IPython and notebooks show of a proxy."""
    printer = Printer()
    proxy._repr_pretty_(printer, False)
    return printer.printed


def test_display() -> None:
    """Text and display name the class and the number of the object."""

    class Stage(RemoteProxy):
        """A proxy that was chosen by hand."""

    named, by_hand = make(NAMES), make(Stage)
    named._easycluster_state.class_name = "easycluster.remote_code.Board"

    assert str(named) == f"{named}" == display(named) == "<Board (object 7) on host:1>"
    assert str(by_hand) == display(by_hand) == "<Stage (object 7) on host:1>"
    assert repr(named) == repr(by_hand) == "<RemoteProxy for oid 7 on host:1>"


def test_display_of_its_own() -> None:
    """An exported text or representation is obeyed; a method for IPython's printer, which is here, is not."""
    shown, text = make((("__repr__",), (), (), False)), make((("__str__",), (), (), False))
    pretty = make((("_repr_pretty_", "_repr_html_"), (), (), False))

    assert str(shown) == display(shown) == repr(shown) == "answer"
    assert (str(text), display(text)) == ("answer", f"<{type(text).__name__} (object 7) on host:1>")
    assert display(pretty).endswith(" (object 7) on host:1>")
    assert pretty._repr_html_() == "answer"
    assert sent(pretty) == [("_repr_html_", (), {})]


def test_docstrings() -> None:
    """A class without a docstring has that of all proxies, its proxies that of the class of their object."""

    class Bare(RemoteProxy):
        pass

    class Documented(RemoteProxy):
        """By hand."""

    for kind in NAMES, Bare:
        proxy = make(kind)
        assert (
            type(proxy).__doc__
            == proxy.__doc__
            == "Stands on the client for an object that stays on the server."
        )
        proxy._easycluster_state.documentation = "A board."
        assert proxy.__doc__ == "A board."
    assert make(Documented).__doc__ == "By hand."


def test_repr_and_dir() -> None:
    """``repr``, ``dir`` and tab completion name the object and what it exports, and ask nobody."""
    for any_attribute in (False, True):
        proxy = make((("method", "meter"), ("val",), ("met",), any_attribute))

        assert repr(proxy) == "<RemoteProxy for oid 7 on host:1>"
        assert {"method", "meter", "val", "met", "annotated"} <= set(dir(proxy))
        assert not [name for name in dir(proxy) if name.startswith(("proxy_", "raw_"))]
        completed = rlcompleter.Completer({"proxy": proxy}).attr_matches("proxy.me")
        assert {each.rstrip("()") for each in completed} == {"proxy.met", "proxy.meter", "proxy.method"}
        assert sent(proxy) == []


def test_identity() -> None:
    """Copying gives the proxy itself; comparing and hashing go by identity unless exported."""
    proxy, other = make(NAMES), make(NAMES)

    assert copy.copy(proxy) is proxy
    assert copy.deepcopy([proxy])[0] is proxy
    assert {proxy: 1, other: 2}[proxy] == 1
    assert proxy != other
    assert sent(proxy) == []


# Pickling.


def test_pickling_outside_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy, or a method of one, cannot be pickled but for a call; on its server it is the object again."""
    proxy = make(NAMES)
    for value in (proxy, ProxyMethod(proxy, "f"), [proxy]):
        with pytest.raises(TypeError, match="outside of a call"):
            pickle.dumps(value)
    proxies.context.references = References()
    try:
        pickled = pickle.dumps([proxy, ProxyMethod(proxy, "upper")])
    finally:
        proxies.context.references = None

    monkeypatch.setattr(proxies, "server_objects", {7: "object"})
    there, method = pickle.loads(pickled)
    assert (there, method()) == ("object", "OBJECT")


def test_numbers_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of an object means nothing where no answer is being unpickled, and where no server is."""
    monkeypatch.setattr(proxies, "server_objects", None)  # tests of the server run in this process, too
    with pytest.raises(TypeError, match="server object 3 has a meaning only to the client"):
        find_proxy(3, NAMES)
    with pytest.raises(TypeError, match="server object 3 has a meaning only on its own server"):
        find_object(3)
