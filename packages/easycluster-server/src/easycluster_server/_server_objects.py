"""All that server objects take on a server: imported with the first value that may be one, or hold one.

Many sessions never have any, and over ssh this would be compiled ahead of each first call.
"""

from __future__ import annotations

from easycluster_protocol import (
    _proxies,
    _proxy_classes,  # noqa: F401  # pyright: ignore[reportUnusedImport] -- generators, files and modules stay
)
from easycluster_protocol._object_pickle import dumps_result

from ._exported import delete_attribute, exported_method, get_attribute, set_attribute
from ._objects import ObjectTable

__all__ = ["delete_attribute", "dumps_result", "exported_method", "get_attribute", "set_attribute", "table"]

#: The objects of the one session that a worker serves.
table = _proxies.server_objects = ObjectTable()
