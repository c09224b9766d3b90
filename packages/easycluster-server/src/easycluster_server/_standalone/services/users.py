"""Facts about the users that services run as; `accounts` makes and removes the one that is made for them."""

from __future__ import annotations

import os
import stat

#: The user that is made for services, its home folder, and the comment by which it is known again.
NAME = "easycluster"
HOME = "/var/lib/easycluster"
COMMENT = "EasyCluster server"


def has_home() -> bool:
    """Return whether there is a home folder of the user that is made for services."""
    return os.path.exists(HOME)


def does_linger() -> bool:
    """Return whether services of this user run while the user is logged out."""
    import getpass

    return os.path.exists(f"/var/lib/systemd/linger/{getpass.getuser()}")


def find_closed_folder(path: str) -> str:
    """Return the first folder on the way to a file that other users cannot look into, or ""."""
    for way in (os.path.abspath(path), os.path.realpath(path)):
        folder = ""
        for name in way.split("/")[1:-1]:
            folder += f"/{name}"
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return folder
    return ""
