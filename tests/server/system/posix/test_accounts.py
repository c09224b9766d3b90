"""Users as the list of users has them."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path

from easycluster_server._system.posix.accounts import find_comment, is_owner


def test_comments() -> None:
    """A user's comment is found; there may be no such user."""
    assert find_comment(getpass.getuser()) == pwd.getpwuid(os.geteuid()).pw_gecos
    assert find_comment("no-such-user") is None


def test_owners(tmp_path: Path) -> None:
    """A file belongs to who made it."""
    assert is_owner(getpass.getuser(), str(tmp_path))
    assert is_owner("nobody", str(tmp_path)) == (getpass.getuser() == "nobody")
