"""Files that only the server may read, and where the service manager puts its copies of them."""

from __future__ import annotations

from typing import List

from .settings import Settings
from .table import OPTIONS


def find_secret_files(settings: Settings) -> List[str]:
    """Return the paths of all such files, as of keys."""
    found: List[str] = []
    for option in OPTIONS:
        value = settings.given.get(option.name)
        if option.kind.is_secret and value:
            found += value if isinstance(value, list) else [str(value)]
    return found


def name_credential(path: str) -> str:
    """Return the name of the copy of a file, which is that of no other file."""
    return path.strip("/").replace("-", "--").replace("/", "-").replace(":", "_")
