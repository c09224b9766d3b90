"""The dangers of a key file. Its permissions are lists that `os.stat` does not show, so none is found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from typing import Union

    Path = Union[str, bytes, os.PathLike[str]]


def find_danger(path: Path) -> Optional[str]:  # noqa: ARG001 -- as in the other half
    """Return None: nothing is known of the file; see the POSIX half."""
    return None
