"""Making and removing the user of the service: each kind of system has other programs for that."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Tuple

from easycluster_server._system.accounts import find_comment, is_owner

from . import users
from .steps import MakeFolder, Remove, Run, Step

#: No login: the user is there to run the service.
_SHELL = "/usr/sbin/nologin"


class Accounts(NamedTuple):
    """The commands of one kind of system.

    Attributes:
        make: the commands that make group and user.
        remove: the commands that remove them.
    """

    make: Tuple[Tuple[str, ...], ...]
    remove: Tuple[Tuple[str, ...], ...]


#: Most Linux systems.
USERADD = Accounts(
    make=(
        (
            *("useradd", "--system", "--user-group", "--comment", users.COMMENT),
            *("--home-dir", users.HOME, "--no-create-home", "--shell", _SHELL, users.NAME),
        ),
    ),
    remove=(("userdel", users.NAME),),
)

#: Alpine Linux.
BUSYBOX = Accounts(
    make=(
        ("addgroup", "-S", users.NAME),
        (
            *("adduser", "-S", "-D", "-H", "-g", users.COMMENT, "-h", users.HOME, "-s", "/sbin/nologin"),
            *("-G", users.NAME, users.NAME),
        ),
    ),
    remove=(("deluser", users.NAME),),
)

#: FreeBSD.
PW = Accounts(
    make=(("pw", "useradd", users.NAME, "-c", users.COMMENT, "-d", users.HOME, "-s", _SHELL),),
    remove=(("pw", "userdel", users.NAME),),
)

#: Solaris and illumos.
SOLARIS = Accounts(
    make=(
        ("groupadd", users.NAME),
        (
            *("useradd", "-g", users.NAME, "-c", users.COMMENT, "-d", users.HOME),
            *("-s", "/usr/bin/false", users.NAME),
        ),
    ),
    remove=(("userdel", users.NAME), ("groupdel", users.NAME)),
)


def make_user(accounts: Accounts, name: str) -> List[Step]:
    """Return the steps that make the user of a service, if that is `users.NAME` and does not exist."""
    if name != users.NAME:
        return []
    exists = find_comment(name) is not None
    return [Run(*command, unless=lambda: exists) for command in accounts.make]


def make_account(accounts: Accounts, name: str) -> List[Step]:
    """Return the steps that make the user of a service, as `make_user`, and its home."""
    if name != users.NAME:
        return []
    return [*make_user(accounts, name), MakeFolder(users.HOME), own(name, users.HOME)]


def remove_account(accounts: Accounts) -> List[Step]:
    """Return the steps that remove the user and its home, unless the home holds anything."""
    stays = find_comment(users.NAME) != users.COMMENT
    return [
        Remove(users.HOME),
        *(Run(*command, unless=lambda: stays or users.has_home()) for command in accounts.remove),
    ]


def own(name: str, path: str) -> Step:
    """Return the step that gives a file or folder to a user, if it exists."""
    return Run("chown", name, path, unless=lambda: not os.path.exists(path) or is_owner(name, path))
