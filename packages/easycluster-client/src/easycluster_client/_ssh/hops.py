"""The first hop of an ssh: the machine to which it connects, a jump host or the host itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .command import read_settings

if TYPE_CHECKING:
    from easycluster_client._address import Address


def find_first_hop(address: Address) -> str:
    """Return a text that is the same for all connections by ssh whose first hop is the same.

    ssh itself is asked, because its configuration decides; so different names may be one host.
    """
    settings = read_settings(address)
    jump = settings.get("proxyjump", "none")
    if jump != "none":
        return jump.partition(",")[0].rpartition("@")[2]
    command = settings.get("proxycommand", "none")
    if command != "none":
        return command
    return f"{settings.get('hostname', address.host)}:{settings.get('port', address.port or 22)}"
