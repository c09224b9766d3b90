"""The ways of all systems, by the names that ``--system`` knows."""

from __future__ import annotations

from typing import Dict, Optional, Type

from .service import Service
from .systemd import SystemdService

#: In the order in which this machine is asked: where two are there, the first is in use.
SYSTEMS: Dict[str, Type[Service]] = {each.system: each for each in (SystemdService,)}


def find_system() -> Optional[Type[Service]]:
    """Return how services of this machine are managed, or None if it is no way that is known here."""
    return next((each for each in SYSTEMS.values() if each.is_here()), None)
