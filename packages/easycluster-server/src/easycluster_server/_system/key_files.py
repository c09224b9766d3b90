"""Key files as the system keeps them: who can read, write or replace one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from easycluster_protocol.errors import KeyFileError

if sys.platform == "win32":
    from .windows.key_files import find_danger
else:
    from .posix.key_files import find_danger

if TYPE_CHECKING:
    import os
    from typing import Union

    Path = Union[str, bytes, os.PathLike[str]]

__all__ = ["find_danger", "require_private"]


def require_private(path: Path) -> None:
    """Make sure that nobody but this user and root can read, write or replace a key file.

    Raises:
        KeyFileError: somebody can; the message has the command that corrects this.
        OSError: the file or a folder above it cannot be looked at.
    """
    danger = find_danger(path)
    if danger is not None:
        raise KeyFileError(danger)
