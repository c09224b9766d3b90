"""The dangers of a key file: its permissions, its owner, and the folders above it."""

from __future__ import annotations

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
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return (
                f"other users can replace the key file {name!r}: everybody can write in its folder "
                f"{folder!r} (mode {mode:04o}); run: chmod o-w {_quote_for_shell(folder)}"
            )
    return None


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


def _quote_for_shell(name: str) -> str:
    return shlex.quote(os.path.join(os.curdir, name) if name.startswith("-") else name)
