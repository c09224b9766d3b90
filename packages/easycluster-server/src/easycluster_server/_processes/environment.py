"""The environment that a worker on this machine gets: that of a child of this process."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from easycluster_server._system.masters import read_umask
from easycluster_server._system.package_folders import find_package_folders

if TYPE_CHECKING:
    from .worker import Config


def describe_environment() -> Config:
    """Return the part of a worker's configuration that makes it a child of this process: the environment,
    the working folder, the umask and the module path."""
    # The script may have put our folder on its path for the import alone.
    path = [*sys.path, *(each for each in find_package_folders() if each not in sys.path)]
    config: Config = {"environ": dict(os.environ), "path": path, "argv": [""]}
    try:
        config["cwd"] = os.getcwd()
    except OSError:  # it was removed
        pass
    umask = read_umask()
    if umask is not None:
        config["umask"] = umask
    return config
