"""Views of clients and of names: which calls carry the options, and what goes to the object behind the view."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster_client._api.option_views import ClientView, NameView
from easycluster_client._api.proxy_views import ProxyView
from helpers.fake_proxies import NAMES, make, sent
from helpers.noted_client import NotedClient, call_of, noted, operation_of


@pytest.fixture
def client() -> NotedClient:
    """A client that notes its calls."""
    return NotedClient()


@pytest.fixture
def view(client: NotedClient) -> Any:
    """A view of the client."""
    return ClientView(client, {"timeout": 1, "origexc": False})


@pytest.fixture
def name(client: NotedClient) -> Any:
    """A view of a name."""
    return NameView(client.a.b, {"timeout": 1, "nonblocking": True})


# Clients.


def test_call(client: NotedClient, view: Any) -> None:
    """A call carries the options; its own take precedence, and other keywords belong to the function."""
    view.call("f", 1, func=2, timeout=3, origexc="quiet", threadid=4)

    kwargs = {"func": 2, "timeout": 3}
    assert noted(client).made == [call_of("f", 1, kwargs=kwargs, timeout=1, origexc="quiet", threadid=4)]


def test_raw_call(client: NotedClient, view: Any) -> None:
    """A call whose keywords may have any names carries the options, too; its own take precedence."""
    view.raw_call("f", [1], {"timeout": 2}, timeout=3)
    view.raw_call("f", ())

    assert noted(client).made == [
        call_of("f", 1, kwargs={"timeout": 2}, timeout=3, origexc=False),
        call_of("f", timeout=1, origexc=False),
    ]


@pytest.mark.parametrize("method", ["eval", "execblock", "import_module"])
def test_methods_whose_keywords_are_options(client: NotedClient, view: Any, method: str) -> None:
    """The options are added to those of the call, which take precedence."""
    assert getattr(view, method)("text", timeout=2) == "answer"

    assert noted(client).made == [operation_of(method, "text", timeout=2, origexc=False)]


def test_other_methods_whose_keywords_are_options(client: NotedClient, view: Any) -> None:
    """Modules, requests and definitions carry the options as well."""
    view.import_modules(("a", "b"))
    view.send_request(7, "f", [1], {"timeout": 2})
    options = {"timeout": 1, "origexc": False}
    assert noted(client).made[0] == operation_of("import_modules", ["a", "b"], **options)
    assert noted(client).made[1].values == (7, "f", (1,), {"timeout": 2})
    assert noted(client).made[1].options == options

    view.update_definitions(nonblocking=True)
    assert noted(client).made[2].options == {**options, "nonblocking": True}


def test_name_of_a_view(client: NotedClient, view: Any) -> None:
    """A name on the server is a view with the same options."""
    found = view.a

    assert type(found) is NameView
    assert found._easycluster_target == client.a
    found.b(1)
    assert noted(client).made == [call_of("a.b", 1, timeout=1, origexc=False)]


def test_other_attributes_belong_to_the_client(client: NotedClient, view: Any) -> None:
    """What makes no calls is the client's own, and is set there."""
    assert view.peername == "(not connected)"
    assert view.close.__self__ is client
    view.mark = 5

    assert vars(client)["mark"] == 5


def test_root_of_a_view(client: NotedClient, view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server itself is a view with the same options."""
    proxy = make(NAMES)
    monkeypatch.setattr(client, "get_root", lambda: proxy)
    root = view.get_root()

    assert isinstance(root, ProxyView)
    root.raw_call_method("f")
    assert sent(proxy) == [("f", (), {}, {"timeout": 1, "origexc": False})]


def test_repr(view: Any, name: Any) -> None:
    """It shows the object and the options."""
    assert repr(view) == "<<NotedClient not connected> with timeout=1, origexc=False>"
    assert repr(name) == "<<a.b on (not connected)> with timeout=1, nonblocking=True>"


# Names.


def test_call_of_a_name(client: NotedClient, name: Any) -> None:
    """A call carries the options; its own take precedence, and other keywords belong to the function."""
    assert name(1, self=2, timeout=3, nonblocking=False) == "answer"

    kwargs = {"self": 2, "timeout": 3}
    assert noted(client).made == [call_of("a.b", 1, kwargs=kwargs, timeout=1, nonblocking=False)]


def test_longer_name(client: NotedClient, name: Any) -> None:
    """A longer name has the same options, and is no call."""
    assert type(name.c) is NameView
    assert noted(client).made == []
    name.c()
    assert noted(client).made == [call_of("a.b.c", timeout=1, nonblocking=True)]


def test_name_that_is_not_forwarded(name: Any) -> None:
    """Names that mean the object here are missing, as in the name itself."""
    with pytest.raises(AttributeError, match="^<a.b on .not connected.> has no attribute '_repr_html_'"):
        _ = name._repr_html_


def test_value_of_a_name(client: NotedClient, name: Any) -> None:
    """Its value is asked for with the options, so it may be a response."""
    assert name.value == "answer"
    assert noted(client).made == [operation_of("get_value", "a.b", timeout=1, nonblocking=True)]


def test_value_that_is_set(client: NotedClient, name: Any) -> None:
    """Setting the value carries the options but waits, or its errors would be lost."""
    name.value = 5

    assert noted(client).made == [operation_of("set_value", "a.b", 5, timeout=1, nonblocking=False)]


def test_other_attributes_of_a_name_are_not_set(client: NotedClient, name: Any) -> None:
    """Assigning to another attribute is the error of the name itself, and nothing is sent."""
    with pytest.raises(AttributeError, match="^to set a.b.c on the server, assign to .c.value$"):
        name.c = 5

    assert noted(client).made == []
