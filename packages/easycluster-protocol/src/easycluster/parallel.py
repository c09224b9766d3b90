"""Many hosts at once: connecting to them, and closing their connections."""

from __future__ import annotations

from easycluster_client._parallel.closing import close_all
from easycluster_client._parallel.connecting import connect_all
from easycluster_client._parallel.hosts import Hosts

__all__ = ["Hosts", "close_all", "connect_all"]
