"""What the Unix services have in common whose systems hand over no files and hold no sockets.

The server reads the key itself, so the user that it runs as has to own the file. Its log is a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Sequence

from easycluster_server._system.accounts import find_comment

from . import users
from .accounts import USERADD, Accounts, make_account, own, remove_account
from .service import Service, find_foreign_option
from .steps import Remove, Step

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

#: The settings that only some systems have a way for.
_OF_OTHERS = ("restart_safe", "strict", "open_firewall")


class UnixService(Service):
    """A service of the machine, run as a user that owns the key."""

    #: The programs that make users.
    accounts: Accounts = USERADD

    #: The file of all that the server prints, unless the settings name another one.
    log_path = "/var/log/easycluster.log"

    def __init__(self, program: Sequence[str], per_user: bool = False) -> None:
        super().__init__(program, per_user)
        self.log_hint = self.log_path

    def find_foreign(self, settings: Settings) -> str:
        """Return why a setting is impossible on every machine of this system, or ""."""
        return find_foreign_option(settings, _OF_OTHERS, self.system)

    def find_problem(self, settings: Settings) -> str:
        """Return why a service with these settings is impossible, or ""."""
        foreign = self.find_foreign(settings)
        if foreign:
            return foreign
        user = self.find_user(settings)
        if user != users.NAME and find_comment(user) is None:
            return f"--service-user: there is no user {user!r}"
        closed = "" if user == "root" else users.find_closed_folder(self.program[0])
        if closed:
            return (
                f"the service runs as the user {user}, and others cannot look into {closed}, where "
                f"{self.program[0]} is: install it elsewhere, or name another user with --service-user"
            )
        return ""

    def prepare(self, settings: Settings) -> List[Step]:
        """Return the steps that make the user of the service."""
        return make_account(self.accounts, self.find_user(settings))

    def register(self, settings: Settings) -> List[Step]:
        """Return the steps that give the key to the user, and those of `enable`."""
        return [own(self.find_user(settings), self.key_path), *self.enable()]

    def enable(self) -> List[Step]:
        """Return the steps from which on it starts on boot."""
        raise NotImplementedError

    def clean_up(self) -> List[Step]:
        """Return the steps that remove the log, and the user that was made for the service."""
        # Another user may get the number of that one, and is not to get the key.
        return [Remove(self.log_path), own("root", self.key_path), *remove_account(self.accounts)]

    def left_over(self) -> List[str]:
        """Return the home of the service's user, if there is something in it."""
        return [users.HOME] if users.has_home() else []

    def find_user(self, settings: Settings) -> str:
        """Return the user that the listener runs as; only root can become the user of a connection."""
        if settings.has("run_as"):
            return "root"
        return settings.text("service_user") or users.NAME

    def note(self, mark: str = "# ") -> str:
        """Return the comment that begins a written file."""
        lines = ("Written by `easycluster --install`, which writes it again.", f"It is {self.tested}.")
        return "".join(f"{mark}{line}\n" for line in lines)
