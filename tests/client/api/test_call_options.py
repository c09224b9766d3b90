"""`options`: which options there are, for which objects, and how views of views are made."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster_client._api.call_options import options
from easycluster_client._api.option_views import ClientView, NameView
from easycluster_client._api.proxy_views import PrefetchView, ProxyView
from easycluster_protocol._constants import SINGLE
from easycluster_protocol._objects.proxy_classes import GeneratorProxy, SelfIterProxy
from helpers.fake_proxies import NAMES, make
from helpers.noted_client import NotedClient, call_of, noted


@pytest.fixture
def client() -> NotedClient:
    """A client that notes its calls."""
    return NotedClient()


# The objects.


def test_views_by_the_kind_of_object(client: NotedClient) -> None:
    """Clients, names, proxies and iterators have views of their own, with the options as they were given."""
    proxy, iterator = make(NAMES), make(GeneratorProxy)
    views = [
        options(client, timeout=1),
        options(client.a.b, timeout=1),
        options(proxy, timeout=1),
        options(iterator, timeout=1),
        options(iterator, timeout=1, prefetch=2),
    ]

    assert [view._easycluster_target for view in views] == [client, client.a.b, proxy, iterator, iterator]
    assert [view._easycluster_options for view in views] == [{"timeout": 1}] * 4 + [
        {"timeout": 1, "prefetch": 2}
    ]
    kinds = (ClientView, NameView, ProxyView, ProxyView, PrefetchView)
    assert all(isinstance(view, kind) for view, kind in zip(views, kinds, strict=True))
    assert not isinstance(views[3], PrefetchView)


def test_view_without_options(client: NotedClient) -> None:
    """Without options it is a view whose calls are as those of the object."""
    options(client).call("f")

    assert noted(client).made == [call_of("f")]


@pytest.mark.parametrize("target", ["text", None, NotedClient])
def test_object_that_makes_no_calls(target: Any) -> None:
    """Anything else is refused, with its name."""
    with pytest.raises(TypeError, match="^options are for clients and proxies, not for ") as raised:
        options(target, timeout=1)

    assert repr(target) in str(raised.value)


def test_view_of_a_view(client: NotedClient) -> None:
    """A view of a view is one of the object, with the options of both; the later ones take precedence."""
    first = options(client, timeout=1, origexc=False)
    second = options(first, timeout=2, threadid=3)

    assert second._easycluster_target is client
    assert second._easycluster_options == {"timeout": 2, "origexc": False, "threadid": 3}
    assert first._easycluster_options == {"timeout": 1, "origexc": False}


def test_options_of_both_views_are_checked_together() -> None:
    """Options that contradict those of the view are refused."""
    with pytest.raises(ValueError, match="prefetch does not go with nonblocking"):
        options(options(make(GeneratorProxy), prefetch=2), nonblocking=True)


# The values.


def test_every_option(client: NotedClient) -> None:
    """All options of calls are taken, each with a value that it may have."""
    settings: dict[str, Any] = {
        "nonblocking": True,
        "oncomplete": print,
        "onerror": (print, 1),
        "threadid": SINGLE,
        "origexc": "quiet",
        "timeout": 0,
    }

    assert options(client, **settings)._easycluster_options == settings
    nothing = dict.fromkeys(settings)
    assert options(client, **nothing)._easycluster_options == nothing


def test_unknown_option(client: NotedClient) -> None:
    """The error names the options that there are."""
    with pytest.raises(TypeError) as raised:
        options(client, time=1)

    assert str(raised.value) == (
        "there is no option 'time'; there are nonblocking, oncomplete, onerror, threadid, origexc, timeout,"
        " cancel, prefetch, device_memory"
    )


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds, or None for no limit, not '1'"),
        ({"timeout": -1}, ValueError, "timeout must be a number of seconds from 0 on, not -1"),
        ({"threadid": "1"}, TypeError, "threadid must be an integer"),
        ({"oncomplete": 1}, TypeError, "oncomplete must be a function"),
        ({"onerror": ()}, TypeError, "onerror must be a function"),
    ],
)
def test_values_are_checked(
    client: NotedClient, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    """An option that cannot have its value is refused when the view is made."""
    with pytest.raises(error, match=f"^{text}"):
        options(client, **settings)


# Prefetching.


@pytest.mark.parametrize("kind", [GeneratorProxy, SelfIterProxy, (("__next__",), (), (), False)])
@pytest.mark.parametrize("threadid", [None, 3])
def test_prefetching_from_iterators(kind: Any, threadid: int | None) -> None:
    """Every iterator can be asked ahead, from 1 value on, in any one thread."""
    settings = {"prefetch": 1, "threadid": threadid, "nonblocking": False, "oncomplete": None, "timeout": 5}

    assert isinstance(options(make(kind), **settings), PrefetchView)


def test_prefetching_from_something_else(client: NotedClient) -> None:
    """Only iterators can be asked ahead; the error says what to do about objects that can be iterated over."""
    for target in (client, client.a, make(NAMES), make((("__iter__",), ("__next__",), (), False))):
        with pytest.raises(TypeError) as raised:
            options(target, prefetch=2)
        assert str(raised.value) == (
            f"prefetch is an option for proxies of iterators, such as generators, not for {target!r}; "
            "for an object that can be iterated over take iter() first"
        )


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"prefetch": 1.0}, TypeError, "prefetch must be a number of values, not 1.0"),
        ({"prefetch": True}, TypeError, "prefetch must be a number of values, not True"),
        ({"prefetch": None}, TypeError, "prefetch must be a number of values, not None"),
        ({"prefetch": 0}, ValueError, "prefetch must be at least 1, not 0"),
        ({"prefetch": -1}, ValueError, "prefetch must be at least 1, not -1"),
        *(
            (
                {"prefetch": 1, name: print},
                ValueError,
                "prefetch does not go with nonblocking, oncomplete, onerror: iteration waits for the values",
            )
            for name in ("nonblocking", "oncomplete", "onerror")
        ),
        (
            {"prefetch": 1, "threadid": SINGLE},
            ValueError,
            "prefetch does not go with threadid=SINGLE: an iterator runs in one thread",
        ),
    ],
)
def test_prefetching_is_checked(settings: dict[str, Any], error: type[Exception], text: str) -> None:
    """A number of values that is none, and options that contradict it, are refused."""
    with pytest.raises(error) as raised:
        options(make(GeneratorProxy), **settings)

    assert str(raised.value) == text
