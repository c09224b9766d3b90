"""The ways of all systems, by the names that ``--system`` knows."""

from __future__ import annotations

from typing import Dict, Optional, Type

from .launchd import LaunchdService
from .openrc import OpenrcService
from .rcd import RcdService
from .service import Service
from .smf import SmfService
from .systemd import SystemdService
from .sysv import SysvService
from .windows import WindowsService

#: In the order in which this machine is asked: where two are there, the first is in use.
SYSTEMS: Dict[str, Type[Service]] = {
    each.system: each
    for each in (
        SystemdService,
        WindowsService,
        LaunchdService,
        SmfService,
        OpenrcService,
        RcdService,
        SysvService,
    )
}


def find_system() -> Optional[Type[Service]]:
    """Return how services of this machine are managed, or None if it is no way that is known here."""
    return next((each for each in SYSTEMS.values() if each.is_here()), None)
