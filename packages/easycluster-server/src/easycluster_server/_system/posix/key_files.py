"""The dangers of a key file: its permissions, its owner, and the folders above it."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from typing import TYPE_CHECKING, Iterator, Optional, Set

from easycluster_protocol.keys import decode_path

if TYPE_CHECKING:
    from typing import Union

    Path = Union[str, bytes, os.PathLike[str]]

_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


def find_danger(path: Path) -> Optional[str]:
    """Return how other users can read or replace a key file, and the command that corrects this.

    Returns:
        The text for the user; None if they cannot, or if the system does not tell.

    Raises:
        KeyFileError: no file can have this path.
        OSError: the file or a folder above it cannot be looked at.
    """
    name = decode_path(path)
    status = os.stat(name)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return None  # reading it fails, and says so; a change of its permissions would do harm
    if mode & _OTHERS:
        return (
            f"other users can read or write the key file {name!r} (mode {mode:04o}); "
            f"run: chmod 600 {_quote_for_shell(name)}"
        )
    if status.st_uid not in (os.geteuid(), 0):
        return (
            f"the key file {name!r} belongs to another user, {_name_user(status.st_uid)}, who can read and "
            f"replace it; run: chown {_name_user(os.geteuid())} {_quote_for_shell(name)}"
        )
    if stat.S_ISREG(status.st_mode):  # a pipe of a shell has no folder that counts
        return _find_open_folder(name)
    return None


def _find_open_folder(name: str) -> Optional[str]:
    for folder in _list_folders(name):
        status = os.stat(folder)
        mode = stat.S_IMODE(status.st_mode)
        owner, quoted = status.st_uid, _quote_for_shell(folder)
        if owner not in (os.geteuid(), 0) and _is_mapped(owner):
            return (
                f"another user can replace the key file {name!r}: its folder {folder!r} belongs to"
                f" {_name_user(owner)}; run: chown {_name_user(os.geteuid())} {quoted}"
            )
        if mode & stat.S_ISVTX:
            continue
        if mode & stat.S_IWOTH:
            whose, change = "everybody", "o-w"
        elif mode & stat.S_IWGRP and not _is_private_group(status.st_gid, owner):
            whose, change = f"the group {_name_group(status.st_gid)}", "g-w"
        else:
            continue
        return (
            f"other users can replace the key file {name!r}: {whose} can write in its folder "
            f"{folder!r} (mode {mode:04o}); run: chmod {change} {quoted}"
        )
    return None


def _is_mapped(uid: int) -> bool:
    """Return whether it is a user of this namespace; in a container all users outside have one number."""
    try:
        with open("/proc/self/uid_map") as file:
            lines = [tuple(map(int, line.split())) for line in file]
    except (OSError, ValueError):  # another system
        return True
    return any(first <= uid < first + count for first, _, count in lines)


def _is_private_group(gid: int, owner: int) -> bool:
    """Return whether a group has only this user, as many systems make one for each user, and maybe root."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(owner)
    except KeyError:
        return False
    return user.pw_gid == gid and set(group.gr_mem) <= {user.pw_name, "root"}


def _list_folders(name: str) -> Iterator[str]:
    """Return the folders above a file, and above the file that a symbolic link of this name leads to."""
    seen: Set[str] = set()
    for path in (os.path.abspath(name), os.path.realpath(name)):
        folder = os.path.dirname(path)
        while folder not in seen:
            seen.add(folder)
            yield folder
            folder = os.path.dirname(folder)


def _name_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _name_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _quote_for_shell(name: str) -> str:
    return shlex.quote(os.path.join(os.curdir, name) if name.startswith("-") else name)
