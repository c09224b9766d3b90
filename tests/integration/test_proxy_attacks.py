"""What a server might make up about its objects."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster import RemoteProxy, define_common
from easycluster_protocol.errors import DeserializationError
from helpers.server_objects import kept

pytestmark = pytest.mark.usefixtures("object_definitions")


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "__init__",
        "__reduce__",
        "_easycluster_state",
        "raw_call_method",
        "proxy_object_id",
        "no name",
        "__dict__",
    ],
)
def test_malicious_descriptors(local: Any, name: str) -> None:
    """A server that describes a proxy with such a name gets an error; the client's classes are as before."""
    define_common(
        "class Evil:\n"
        "    def __init__(self, name):\n"
        "        self.name = name\n"
        "    def __reduce__(self):\n"
        "        from easycluster_protocol._objects.proxies import find_proxy, server_objects\n"
        "        return find_proxy, (99, ((self.name,), (), (), True))\n"
        "def evil(name):\n"
        "    return [Thing(), Evil(name)]\n"
    )
    local.update_definitions()
    before = dict(vars(RemoteProxy))

    with pytest.raises(DeserializationError, match=f"cannot have a remote attribute named {name!r}"):
        local.evil(name)

    assert dict(vars(RemoteProxy)) == before
    kept(local, 0)
