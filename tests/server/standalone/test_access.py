from __future__ import annotations

from typing import Any

import pytest

from easycluster_protocol.errors import KeyFileError
from easycluster_protocol.keys import Key
from easycluster_server._standalone.access import Access
from helpers.pair import KEY, OTHER_KEY


@pytest.mark.parametrize(
    ("allow", "deny", "host", "objection"),
    [
        ([], [], "192.0.2.1", None),
        (["192.0.2.0/24"], [], "192.0.2.1", None),
        (["192.0.2.0/24"], [], "198.51.100.1", "not in an allowed network"),
        ([], ["192.0.2.0/24"], "192.0.2.1", "in a denied network"),
        ([], ["192.0.2.0/24"], "198.51.100.1", None),
        (["192.0.2.0/24"], ["192.0.2.7"], "192.0.2.7", "in a denied network"),
        (["192.0.2.7"], ["192.0.2.0/24"], "192.0.2.7", "in a denied network"),
        (["192.0.2.0/24"], ["192.0.2.7"], "192.0.2.8", None),
        ("192.0.2.0/24", "192.0.2.7", "192.0.2.7", "in a denied network"),
        ([], ["192.0.2.0/24"], "::ffff:192.0.2.1", "in a denied network"),
        (["fe80::/10"], [], "fe80::1%eth0", None),
        (["192.0.2.1/24"], [], "192.0.2.9", None),
    ],
)
def test_networks(allow: Any, deny: Any, host: str, objection: str | None) -> None:
    """A network that is denied is, whatever is allowed; with allowed ones, all others are not."""
    assert Access(KEY, allow, deny).find_objection(host) == objection


@pytest.mark.parametrize("keys", [KEY, [KEY], (KEY,)])
def test_one_key(keys: Any) -> None:
    """A key may stand alone or in a sequence, and is hidden."""
    access = Access(keys)

    assert access.keys == (KEY,)
    assert type(access.keys[0]) is Key


def test_several_keys() -> None:
    """All keys of a sequence are valid."""
    assert Access([KEY, OTHER_KEY]).keys == (KEY, OTHER_KEY)


@pytest.mark.parametrize("keys", [b"", [], [KEY, b""], [KEY, b"short"], "text", [KEY, "text"], 5])
def test_keys_that_are_none(keys: Any) -> None:
    """Each key must be one, and there must be one at least."""
    with pytest.raises(KeyFileError, match="the server"):
        Access(keys)


@pytest.mark.parametrize("lists", [{"allow": ["192.0.2.0/99"]}, {"deny": ["192.0.2.0/99"]}])
def test_networks_that_are_none(lists: Any) -> None:
    """A network that cannot be read is named."""
    with pytest.raises(ValueError, match="192.0.2.0/99"):
        Access(KEY, **lists)
