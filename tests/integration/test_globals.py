"""`get_global` and `set_global` in remote code, over every transport."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster import Client, define_common

DEFINITIONS = """
size = 1

def change(value):
    easycluster.set_global('size', value)
    return size

def find(name, context=None, auto_import=False):
    return easycluster.get_global(name, context, auto_import)
"""


def test_in_remote_code(connect: Any) -> None:
    """In remote code the names of the client's definitions are found and bound; modules on request."""
    define_common(DEFINITIONS)
    client = connect()

    assert client.change(5) == client.size.value == client.find("size") == 5
    assert client.find("json.dumps", auto_import=True) is __import__("json").dumps
    with pytest.raises(NameError, match="'colorsys' is not defined: .*auto_import=True"):
        client.find("colorsys.rgb_to_hls", origexc="quiet")
    with pytest.raises(NameError, match="nor a module on the server"):
        client.find("no_such_module", auto_import=True, origexc="quiet")


def test_other_definitions(spawn: Any) -> None:
    """Where the client uses other definitions, these are meant; the default ones are found by their name."""
    define_common(DEFINITIONS, "my.code")
    define_common("size = 'of the default'")
    client = spawn(lambda: Client(definitions="my.code"))

    assert client.find("size") == client.size.value == 1
    assert client.find("size", "easycluster.remote_code") == "of the default"
    client.get_root().use_definitions("easycluster.remote_code")
    assert client.my.code.find("size") == "of the default"
