"""What the way of each system offers: the base of the services, with all that is the same everywhere."""

from __future__ import annotations

import os
import posixpath
from types import ModuleType
from typing import TYPE_CHECKING, List, Sequence, Tuple

from .steps import MakeFolder, Remove, Step, WriteFile, WriteKey, run_command

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings


class Service:
    """The server as a service of one kind of system.

    A subclass is a file of its own. It names its files, and the steps that register, unregister, start and
    stop the service; a command of the system says by its exit status whether it runs. The server is told
    everything else by its configuration file, so that a change there needs no new installation, but for the
    settings below ``[service]``, and for the port where the system holds it.

    Args:
        program: what runs ``easycluster``, as a Python and ``-m easycluster``.
        per_user: a service of the user who asks, and not of the machine.

    Attributes:
        system: the name of the system's way, for ``--system``.
        tested: where it was tried; said with everything that ``--dry-run`` shows.
        has_users: whether there can be services per user.
        paths: `posixpath` or `ntpath`, whatever the machine that asks.
        log_hint: how to read the service's log.
    """

    system = ""
    tested = ""
    has_users = False
    paths: ModuleType = posixpath
    log_hint = ""

    def __init__(self, program: Sequence[str], per_user: bool = False) -> None:
        self.program = tuple(program)
        self.per_user = per_user

    # The files that every service has.

    @property
    def folder(self) -> str:
        """The folder of configuration and key."""
        return os.path.expanduser("~/.config/easycluster") if self.per_user else "/etc/easycluster"

    @property
    def config_path(self) -> str:
        """The configuration file."""
        return str(self.paths.join(self.folder, "server.ini"))

    @property
    def key_path(self) -> str:
        """The file of the key."""
        return str(self.paths.join(self.folder, "server.key"))

    @property
    def serve_command(self) -> Tuple[str, ...]:
        """What the system has to run."""
        return (*self.program, "-S", "--config", self.config_path)

    # What differs between systems.

    @classmethod
    def is_here(cls) -> bool:
        """Return whether this machine is managed so."""
        raise NotImplementedError

    def find_foreign(self, settings: Settings) -> str:
        """Return why a setting is impossible on every machine of this system, or ""."""
        return ""

    def find_problem(self, settings: Settings) -> str:
        """Return why a service with these settings is impossible here, or ""."""
        return self.find_foreign(settings)

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return the files that tell the system of the service; it is installed where the first exists."""
        raise NotImplementedError

    def register(self, settings: Settings) -> List[Step]:
        """Return the steps after the files are written: from then on it starts on boot."""
        raise NotImplementedError

    def unregister(self) -> List[Step]:
        """Return the steps, before its files are removed, that stop it and keep it from starting on boot."""
        raise NotImplementedError

    def start(self, again: bool = False) -> List[Step]:
        """Return the steps that start it; with ``again``, one that runs is started afresh."""
        raise NotImplementedError

    def stop(self) -> List[Step]:
        """Return the steps that stop it until the next boot."""
        raise NotImplementedError

    def status_command(self) -> Tuple[str, ...]:
        """Return the command that says by its exit status whether the service runs."""
        raise NotImplementedError

    # What is made of it.

    def installed_files(self) -> List[str]:
        """Return the paths of all files that `files` may name; the first is there if it is installed."""
        raise NotImplementedError

    def prepare(self, settings: Settings) -> List[Step]:
        """Return the steps before any file is written, as making the user that the service runs as."""
        return []

    def left_over(self) -> List[str]:
        """Return the folders that stay after uninstalling, beside the key's, because they are not empty."""
        return []

    def advise(self, settings: Settings) -> List[str]:
        """Return lines about what is left to do by hand, for people."""
        return []

    def clean_up(self) -> List[Step]:
        """Return the steps after all files are removed."""
        return []

    def is_installed(self) -> bool:
        """Return whether it is installed."""
        return os.path.exists(self.installed_files()[0])

    def is_running(self) -> bool:
        """Return whether it runs."""
        return self.is_installed() and run_command(self.status_command())[0] == 0

    def install(self, settings: Settings, config: str, key: WriteKey) -> List[Step]:
        """Return the steps that install it, whether it is installed already or not.

        Args:
            settings: what the configuration file says.
            config: the text of that file.
            key: how the key comes to its place.
        """
        files = self.files(settings)
        kept = [file.path for file in files]
        return [
            MakeFolder(self.folder),
            *self.prepare(settings),
            WriteFile(self.config_path, config),
            key,
            *(
                Remove(path)
                for path in self.installed_files()
                if not any(file.startswith(path) for file in kept)
            ),
            *files,
            *self.register(settings),
        ]

    def uninstall(self) -> List[Step]:
        """Return the steps that remove it, all but its key."""
        return [
            *self.unregister(),
            *(Remove(path) for path in self.installed_files()),
            Remove(self.config_path),
            *self.clean_up(),
        ]


def find_foreign_option(settings: Settings, names: Sequence[str], system: str) -> str:
    """Return why a setting is impossible that only services of other systems have, or "".

    Args:
        settings: all that were given.
        names: those that only other systems have.
        system: this system, for the message.
    """
    for name in names:
        if settings.has(name):
            return f"--{name.replace('_', '-')} is not for services of {system}"
    return ""
