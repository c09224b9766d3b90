"""Where our packages lie, for interpreters that are started afresh."""

from __future__ import annotations

import os
import sys
from typing import List


def find_package_folders() -> List[str]:
    """Return the folders, or zip files, that hold our packages: a new interpreter may not look there."""
    folders: List[str] = []
    for name in ("easycluster_server", "easycluster_protocol", "easycluster", "easycluster_client"):
        file = getattr(sys.modules.get(name), "__file__", None)  # the client may not be installed
        if file:
            folder = os.path.dirname(os.path.dirname(os.path.abspath(file)))
            if folder not in folders:
                folders.append(folder)
    return folders
