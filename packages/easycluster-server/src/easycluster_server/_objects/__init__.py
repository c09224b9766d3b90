"""All that server objects take on a server: imported with the first value that may be one, or hold one.

Many sessions never have any, and over ssh this would otherwise be compiled ahead of each first call.
"""

from __future__ import annotations

from easycluster_protocol._objects import (
    proxies,
    proxy_classes,  # noqa: F401  # pyright: ignore[reportUnusedImport] -- generators, files and modules stay
)
from easycluster_protocol._values.late_results import KeptResult, LateResult
from easycluster_protocol._values.object_pickle import dumps_result

from .access import delete_attribute, get_attribute, get_method, set_attribute
from .table import ObjectTable

__all__ = [
    "KeptResult",
    "LateResult",
    "delete_attribute",
    "dumps_result",
    "get_attribute",
    "get_method",
    "object_table",
    "set_attribute",
]

#: The objects of the one session that a worker serves.
object_table = proxies.server_objects = ObjectTable()
