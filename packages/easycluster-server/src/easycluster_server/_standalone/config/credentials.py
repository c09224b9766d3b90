"""Files that only the server may read, and where the service manager puts its copies of them."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import List

from .settings import Settings
from .table import OPTIONS

#: The most characters of a path that go into a name.
_MAX_READABLE = 150


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
    name = re.sub("[^A-Za-z0-9._]", "-", path.strip("/"))
    if name == path.strip("/").replace("/", "-") and "-" not in path and len(name) <= _MAX_READABLE:
        return name
    # A sign that names without a digest do not have comes before it.
    return f"{name[-_MAX_READABLE:]}+{sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
