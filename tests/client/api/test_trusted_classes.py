"""Tests for easycluster_client._api.trusted_classes."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster import Client, SpecError, ThreadedClient, parse_connection_spec, trust


class Ours:
    """A class of the script."""


@pytest.mark.parametrize("cls", [Client, ThreadedClient])
def test_trust(cls: Any) -> None:
    """The classes are trusted by the client, which need not be connected."""
    client = cls(trust="results")

    trust(client, Ours, dict)

    policy = client._easycluster_calls.policy
    assert policy.is_named(Ours)


def test_misuse() -> None:
    """What is no client and what is no class is an error, and so is a client that trusts its host."""
    something: Any = 5
    with pytest.raises(TypeError, match=r"the first argument of trust\(\) is a client, not int"):
        trust(something)
    with pytest.raises(TypeError, match=r"trust\(\) takes classes, not 5"):
        trust(Client(trust="results"), something)
    with pytest.raises(
        ValueError, match="unpickles everything that its host sends: connect with trust=results"
    ):
        trust(Client(), Ours)


@pytest.mark.parametrize("value", ["all", "", 5, True])
def test_unknown_trust(value: Any) -> None:
    """Another trust is an error that names the choices."""
    with pytest.raises(SpecError, match="trust must be 'results', or be left out"):
        Client(trust=value)


def test_specs() -> None:
    """A spec says it by an option, which is among the arguments only when it is given."""
    assert parse_connection_spec("host:ssh=yes:trust=results").get("trust") == "results"
    assert "trust" not in parse_connection_spec("host:ssh=yes")
    with pytest.raises(SpecError, match="option 'trust' must be results, or be left out"):
        parse_connection_spec("host:ssh=yes:trust=all")
