"""The arguments of `connect_all`: which are refused, and which reach the clients."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from easycluster_client._api.client import Client
from easycluster_client._parallel.connecting import connect_all
from helpers.noted_client import NotedClient


class Connected(NotedClient):
    """A client that connects nowhere.

    Attributes:
        how: how it was asked to.
    """

    how: tuple[str, bytes | None]

    @classmethod
    def from_spec(
        cls, spec: str, default_port: Any = None, default_key: Any = None, warn: bool = True
    ) -> Any:
        client = cls()
        client.__dict__["how"] = (spec, default_key)
        return client


def how(client: Client) -> Any:
    """Return how a client was asked to connect."""
    return vars(client)["how"]


def test_specs_become_clients() -> None:
    """Each spec gives a client of the class, with the default key, in the order of the specs."""
    specs = ["h2:1", "h1:2", "h3"]
    hosts = connect_all(iter(specs), clientclass=Connected, default_key=b"k" * 32)

    assert list(hosts) == specs
    assert [how(client) for client in hosts.values()] == [(spec, b"k" * 32) for spec in specs]
    assert hosts.errors == {}


def test_no_specs() -> None:
    """Without specs there are no clients."""
    assert connect_all([]) == {}


def test_specs_that_are_wrong() -> None:
    """A spec that is none is the error of its host alone."""
    hosts = connect_all(["h1", "h2:nope=1", "h3:kf=/no/such/file"], clientclass=Connected)

    assert list(hosts) == ["h1"]
    assert [type(error).__name__ for error in hosts.errors.values()] == ["SpecError", "FileNotFoundError"]
    assert list(hosts.errors) == ["h2:nope=1", "h3:kf=/no/such/file"]


@pytest.mark.parametrize(
    ("specs", "options", "error", "text"),
    [
        ("lab1", {}, TypeError, r"connect_all takes a list of specs, as \['lab1'\]"),
        (["lab1", "lab2", "lab1"], {}, ValueError, "connect_all was given 'lab1' twice"),
        (["lab1"], {"width": 0}, ValueError, "width must be at least 1, not 0"),
        (["lab1"], {"width": "8"}, TypeError, "width must be a number of connections, not '8'"),
        (["lab1"], {"timeout": "8"}, TypeError, "timeout must be a number of seconds"),
        (["lab1"], {"timeout": -1}, ValueError, "timeout must be a number of seconds"),
    ],
)
def test_arguments_that_are_wrong(specs: Any, options: Any, error: type[Exception], text: str) -> None:
    """They are refused before anything is connected."""
    with pytest.raises(error, match=text):
        connect_all(specs, clientclass=Connected, **options)


def test_error_that_is_no_error_of_connecting() -> None:
    """Whatever the class of the clients raises is the error of that host."""

    class Failing(Connected):
        @classmethod
        def from_spec(cls, spec: str, *_: Any, **__: Any) -> Any:
            sys.exit(spec)

    hosts = connect_all(["h1", "h2"], clientclass=Failing)

    assert [repr(error) for error in hosts.errors.values()] == ["SystemExit('h1')", "SystemExit('h2')"]
