"""Views of proxies: which of their calls carry the options, which wait, and what is the proxy's own."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import weakref
from typing import Any

import pytest

from easycluster_client._api.proxy_views import ProxyView, View, make_proxy_view, split_keywords
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import DefaultRemoteProxy, GeneratorProxy
from easycluster_protocol._objects.proxy_methods import ProxyMethod
from helpers.fake_proxies import make, sent

#: With options of every kind: those that do not wait, and one that only iterators have.
OPTIONS: dict[str, Any] = {"timeout": 1, "nonblocking": True, "onerror": print, "oncomplete": None}

#: Those of the calls that wait.
WAITING = {"timeout": 1}


class Chosen(RemoteProxy):
    """A proxy whose names were chosen by hand."""

    proxy_methods = (
        "f",
        "__add__",
        "__call__",
        "__enter__",
        "__exit__",
        "__iter__",
        "__reversed__",
        "__eq__",
    )
    proxy_attrs = ("val",)
    proxy_attrs_cache = ("constant",)

    def __init__(self, client: Any, oid: int) -> None:
        super().__init__(client, oid)
        self.mark = 0

    def local(self) -> str:
        """Run here."""
        return "local"

    def __len__(self) -> int:
        return 5


class Anything(DefaultRemoteProxy):
    """A proxy that forwards every name but one."""

    own = 1


def set_answer(proxy: Any, answer: Any) -> None:
    """Let the proxy's server answer so."""
    object.__getattribute__(proxy, "_easycluster_state").answer = answer


@pytest.fixture
def proxy() -> Any:
    """A proxy."""
    return make(Chosen)


@pytest.fixture
def view(proxy: Any) -> Any:
    """A view of it whose calls return responses."""
    return make_proxy_view(proxy, OPTIONS)


@pytest.fixture
def anything() -> Any:
    """A proxy that forwards every name."""
    return make(Anything)


# All views.


def test_keywords_are_split() -> None:
    """The five keywords of every call are told from those of the function, and take precedence over the view's."""
    kwargs = {
        "a": 1,
        "timeout": 2,
        "threadid": 3,
        "origexc": 4,
        "nonblocking": 5,
        "oncomplete": 6,
        "onerror": 7,
    }
    before = dict(kwargs)
    of_view = {"timeout": 8, "threadid": 9}
    options = {"timeout": 8, "threadid": 3, "origexc": 4, "nonblocking": 5, "oncomplete": 6, "onerror": 7}

    assert split_keywords(kwargs, of_view) == ({"a": 1, "timeout": 2}, options)
    assert (kwargs, of_view) == (before, {"timeout": 8, "threadid": 9})


def test_repr() -> None:
    """It shows the object and the options."""
    assert (
        repr(View("target", {"timeout": 1, "origexc": "quiet"}))
        == "<'target' with timeout=1, origexc='quiet'>"
    )


@pytest.mark.parametrize("use", [pickle.dumps, copy.copy, copy.deepcopy])
def test_sending_a_view(use: Any) -> None:
    """A view cannot be pickled or copied."""
    with pytest.raises(
        TypeError,
        match="^<'target' with timeout=1> cannot be sent: its options belong to this computer; send the",
    ):
        use(View("target", {"timeout": 1}))


# Methods.


def test_method(proxy: Any, view: Any) -> None:
    """A method carries the options; its own take precedence, and other keywords are the method's."""
    assert view.f(1, a=2, timeout=3, nonblocking=False) == "answer"
    assert sent(proxy) == [("f", (1,), {"a": 2, "timeout": 3}, {**OPTIONS, "nonblocking": False})]


def test_name_of_a_method(proxy: Any, view: Any) -> None:
    """A method has its name, and getting it asks for nothing."""
    assert (view.f.__name__, view.f.__qualname__) == ("f", "f")
    assert sent(proxy) == []


def test_raw_calls(proxy: Any, view: Any) -> None:
    """Raw calls carry the options; their own take precedence."""
    view.raw_call_method("f", [1], {"timeout": 2}, timeout=3)
    view.raw_call_method("f")
    view.raw_get_attribute("val", timeout=3)
    view.raw_set_attribute("val", 4, timeout=3)

    own = {**OPTIONS, "timeout": 3}
    assert sent(proxy) == [
        ("f", (1,), {"timeout": 2}, own),
        ("f", (), {}, OPTIONS),
        ("get_attribute", ("val",), own),
        ("set_attribute", ("val", 4), own),
    ]


def test_method_of_the_class_of_the_proxy(proxy: Any, view: Any) -> None:
    """What the class of the proxy defines is used as it is."""
    assert (view.local(), view.proxy_object_id, len(view)) == ("local", 7, 5)
    assert sent(proxy) == []


def test_missing_attribute(view: Any) -> None:
    """The error for a name that the proxy does not have is the proxy's own."""
    with pytest.raises(AttributeError, match="^'Chosen' object has no attribute 'missing'; exported are"):
        _ = view.missing


def test_names_of_a_view(proxy: Any, view: Any) -> None:
    """Its names are those of the proxy."""
    assert dir(view) == dir(proxy)


# Attributes.


@pytest.mark.parametrize("name", ["val", "constant"])
@pytest.mark.parametrize("option", ["nonblocking", "oncomplete", "onerror"])
def test_response_for_an_attribute(proxy: Any, name: str, option: str) -> None:
    """With an option that does not wait the response is returned, and nothing is kept."""
    view = make_proxy_view(proxy, {"timeout": 1, option: print})

    assert (getattr(view, name), getattr(view, name)) == ("answer", "answer")
    assert sent(proxy) == [("get_attribute", (name,), {"timeout": 1, option: print})] * 2
    assert proxy._easycluster_state.cache == {}


def test_attribute(proxy: Any) -> None:
    """An attribute is asked for each time, with the options."""
    view = make_proxy_view(proxy, WAITING)

    assert (view.val, view.val) == ("answer", "answer")
    assert sent(proxy) == [("get", "val", WAITING)] * 2


def test_constant_attribute(proxy: Any) -> None:
    """An attribute that does not change is asked for once, with the options; the proxy knows it, too."""
    view = make_proxy_view(proxy, WAITING)

    assert (view.constant, view.constant, proxy.constant) == ("answer",) * 3
    assert sent(proxy) == [("get", "constant", WAITING)]


def test_attribute_is_set_and_deleted(proxy: Any, view: Any) -> None:
    """An attribute is set and deleted with the options, waiting."""
    view.val = 3
    del view.val

    assert sent(proxy) == [("set_attribute", ("val", 3), WAITING), ("delete_attribute", ("val",), WAITING)]


def test_other_attributes_are_set_on_the_proxy(proxy: Any, view: Any) -> None:
    """Constant attributes, and those of the proxy itself, are set and deleted as on the proxy."""
    view.constant = 3
    view.mark = 4
    view.more = 5
    del view.more
    del view.constant

    assert vars(proxy)["mark"] == 4
    assert "more" not in vars(proxy)
    assert sent(proxy) == [
        ("set_attribute", ("constant", 3), None),
        ("delete_attribute", ("constant",), None),
    ]


# Proxies that forward every name.


def test_attribute_that_may_be_a_method(anything: Any) -> None:
    """The value of an unknown name is waited for, whatever the options are; a value is returned as it is."""
    view = make_proxy_view(anything, OPTIONS)

    assert view.unknown == "answer"
    assert sent(anything) == [("get", "unknown", WAITING)]


def test_attribute_that_is_a_method(anything: Any) -> None:
    """A method of the object itself carries the options."""
    view = make_proxy_view(anything, OPTIONS)
    set_answer(anything, ProxyMethod(anything, "g"))
    method = view.g
    method(1, a=2)

    assert sent(anything)[1:] == [("g", (1,), {"a": 2}, OPTIONS)]


def test_attribute_that_is_a_method_of_another_object(anything: Any) -> None:
    """A method of another object is a value like others."""
    method = ProxyMethod(make(Anything), "g")
    set_answer(anything, method)

    assert make_proxy_view(anything, OPTIONS).g is method


def test_unknown_attribute_is_set_and_deleted(anything: Any) -> None:
    """An unknown name is set and deleted with the options, waiting."""
    view = make_proxy_view(anything, OPTIONS)
    view.unknown = 3
    del view.unknown

    assert sent(anything) == [
        ("set_attribute", ("unknown", 3), WAITING),
        ("delete_attribute", ("unknown",), WAITING),
    ]


def test_names_that_such_a_proxy_has_itself(anything: Any) -> None:
    """Names of its class, its own attributes and dunder names are not asked for."""
    view = make_proxy_view(anything, OPTIONS)
    vars(anything)["mark"] = 2
    found = view.own, view.mark
    view.own = 3
    view.mark = 4
    del view.mark
    with pytest.raises(AttributeError, match="__array__"):
        _ = view.__array__

    assert found == (1, 2)
    assert vars(anything)["own"] == 3
    assert "mark" not in vars(anything)
    assert sent(anything) == []


# Operators.


def test_operator_waits(proxy: Any, view: Any) -> None:
    """An operator carries the options but waits."""
    assert view + 2 == "answer"
    assert (view == 3) == "answer"
    assert sent(proxy) == [("__add__", (2,), {}, WAITING), ("__eq__", (3,), {}, WAITING)]


def test_calling_a_view(proxy: Any, view: Any) -> None:
    """Calling it is calling a method, which may return a response and has keywords."""
    assert view(1, a=2, origexc=False) == "answer"
    assert sent(proxy) == [("__call__", (1,), {"a": 2}, {**OPTIONS, "origexc": False})]


def test_operators_that_the_proxy_does_not_have(view: Any) -> None:
    """A view has the operators of the proxy and no others."""
    with pytest.raises(TypeError, match="not subscriptable"):
        _ = view[0]
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = view - 1


def test_operator_that_was_switched_off(view: Any) -> None:
    """A class with equality and without a hash has views without a hash."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(view)
    assert hash(make_proxy_view(make(Anything), OPTIONS)) is not None


def test_name_of_an_operator(view: Any) -> None:
    """Operators have their names."""
    operator = type(view).__add__

    assert (operator.__name__, operator.__qualname__) == ("__add__", "__add__")


def test_with(proxy: Any, view: Any) -> None:
    """``with`` waits, gives the view for the proxy, and sends no traceback."""
    set_answer(proxy, proxy)
    error = ValueError("inside")
    with pytest.raises(ValueError, match="inside"), view as found:
        assert found is view
        set_answer(proxy, None)
        raise error

    assert sent(proxy) == [
        ("__enter__", (), {}, WAITING),
        ("__exit__", (ValueError, error, None), {}, WAITING),
    ]


@pytest.mark.parametrize("take", [iter, reversed])
def test_iterators_of_a_view(proxy: Any, view: Any, take: Any) -> None:
    """An iterator of a view is a view with the options of calls that wait."""
    iterator = make(GeneratorProxy)
    set_answer(proxy, iterator)
    found = take(view)

    assert isinstance(found, ProxyView)
    assert found._easycluster_target is iterator
    assert found._easycluster_options == WAITING
    assert next(found) == "answer"
    assert sent(iterator) == [("__next__", (), {}, WAITING)]


def test_iteration_by_items() -> None:
    """Each item is asked for with the options of the view."""
    proxy = make((("__getitem__",), (), (), False))

    assert list(make_proxy_view(proxy, OPTIONS)) == [0, 1]
    assert sent(proxy) == [("item", index, WAITING) for index in range(3)]


def test_tools_ask_nobody() -> None:
    """A tool that reads all attributes of a view makes no calls, nor one that asks for a name of its own."""
    proxy = make((("f",), ("val",), (), True))
    view = make_proxy_view(proxy, OPTIONS)

    assert "f" in dict(inspect.getmembers(view))
    for name in "getdoc", "_repr_html_", "_is_coroutine":
        assert not hasattr(view, name)
    assert sent(proxy) == []


def test_iterator_that_was_sent(proxy: Any, view: Any) -> None:
    """An iterator that came as a value is no view, nor is a proxy that another operator returns."""
    values, other = iter([1]), make(Chosen)
    set_answer(proxy, values)
    assert type(view).__iter__(view) is values
    set_answer(proxy, other)
    assert view + 1 is other


def test_iterator_that_returns_itself() -> None:
    """``iter`` of the view of an iterator is the view, without asking."""
    iterator = make(GeneratorProxy)
    view = make_proxy_view(iterator, WAITING)

    assert iter(view) is view
    assert sent(iterator) == []


# The classes of views.


def test_classes_of_views(proxy: Any) -> None:
    """Views of one class of proxies share a class for each kind of view, named as the kind."""
    views = [make_proxy_view(each, WAITING) for each in (proxy, make(Chosen), make(GeneratorProxy))]
    ahead = make_proxy_view(make(GeneratorProxy), {"prefetch": 1})

    assert type(views[0]) is type(views[1])
    assert len({type(each) for each in (*views, ahead)}) == 3
    assert [type(each).__name__ for each in (*views, ahead)] == ["ProxyView"] * 3 + ["PrefetchView"]
    assert type(views[0]).__dictoffset__ == 0


def test_class_of_views_that_is_not_needed_any_more() -> None:
    """A class of proxies that is not in use any more is not kept by its views."""
    cls = type("Temporary", (RemoteProxy,), {"proxy_methods": "__len__", "__int__": lambda _: 5})
    make_proxy_view(make(cls), WAITING)
    found = weakref.ref(cls)
    del cls
    gc.collect()

    assert found() is None


# Iterators that are asked ahead.


class Requests:
    """Stands for the maker of the calls of an iterator."""

    default_thread = 0


class Response:
    """Stands for the response of a request that was answered.

    Args:
        value: the value.
    """

    have_response = True

    def __init__(self, value: int) -> None:
        self._value = value

    def wait(self) -> int:
        """Return the value."""
        return self._value


@pytest.fixture
def iterator() -> Any:
    """The proxy of an iterator, whose values are numbers from 1."""
    proxy = make(GeneratorProxy)
    state = proxy._easycluster_state
    state.current_calls = Requests

    def invoke(name: str, args: Any, kwargs: Any, options: Any) -> Any:
        state.sent.append((name, args, kwargs, options))
        return Response(len(state.sent)) if name == "__next__" else "answer"

    state.invoke = invoke
    return proxy


def test_values_are_requested_ahead(iterator: Any) -> None:
    """Each step requests values with the options of the view, and returns the first of those under way."""
    view = make_proxy_view(iterator, {"timeout": 1, "prefetch": 2})

    assert iter(view) is view
    assert (next(view), len(sent(iterator)), next(view), len(sent(iterator))) == (1, 3, 2, 4)
    assert sent(iterator)[0] == ("__next__", (), {}, {"timeout": 1, "nonblocking": True, "threadid": 0})


def test_calls_of_an_iterator_that_is_asked_ahead(iterator: Any) -> None:
    """The number of values is no option of its calls."""
    view = make_proxy_view(iterator, {"timeout": 1, "prefetch": 2})
    view.raw_call_method("f")
    view.raw_get_attribute("val")

    assert sent(iterator) == [("f", (), {}, WAITING), ("get_attribute", ("val",), WAITING)]


@pytest.mark.parametrize("name", ["send", "throw"])
def test_generator_that_is_asked_ahead(iterator: Any, name: str) -> None:
    """Nothing can be sent to a generator that has advanced; without values ahead it can."""
    view = make_proxy_view(iterator, {"prefetch": 2})
    with pytest.raises(TypeError) as raised:
        getattr(view, name)(1)

    assert str(raised.value) == (
        f"{name}() would reach the generator after the values that were requested ahead; use the proxy itself"
    )
    getattr(make_proxy_view(iterator, {}), name)(1)
    assert sent(iterator) == [(name, (1,), {}, {})]


def test_closing_forgets_values(iterator: Any) -> None:
    """Closing the generator forgets the values that were requested ahead."""
    view = make_proxy_view(iterator, {"prefetch": 2})
    next(view)
    assert view.close() == "answer"

    assert sent(iterator)[-1] == ("close", (), {}, {})
    assert next(view) == 5
