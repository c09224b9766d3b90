"""A system whose services are files in one folder: installed, started and stopped without any program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services.service import Service
from easycluster_server._standalone.services.steps import Remove, Step, WriteFile


class FakeService(Service):
    """A service whose unit is a file, and which runs as long as another file is there.

    Args:
        program: as of any service.
        per_user: the same.
    """

    system = "fake"
    tested = "tested here"
    has_users = True
    log_hint = "less log"
    place: Path
    problem = ""

    def __init__(self, program: Sequence[str], per_user: bool = False) -> None:
        super().__init__(program, per_user)
        self.unit = str(self.place / "unit")
        self.running = str(self.place / "running")

    @property
    def folder(self) -> str:
        return str(self.place / "etc")

    @classmethod
    def is_here(cls) -> bool:
        return True

    def find_problem(self, settings: Settings) -> str:
        return self.problem

    def files(self, settings: Settings) -> list[WriteFile]:
        return [WriteFile(self.unit, f"port {settings.number('port')}\n")]

    def installed_files(self) -> list[str]:
        return [self.unit]

    def register(self, settings: Settings) -> list[Step]:
        return []

    def unregister(self) -> list[Step]:
        return [Remove(self.running)]

    def left_over(self) -> list[str]:
        home = self.place / "home"
        return [str(home)] if home.exists() else []

    def start(self, again: bool = False) -> list[Step]:
        return [WriteFile(self.running, "again\n" if again else "running\n")]

    def stop(self) -> list[Step]:
        return [Remove(self.running)]

    def status_command(self) -> tuple[str, ...]:
        return ("test", "-e", self.running)

    def is_running(self) -> bool:
        return os.path.exists(self.running)
