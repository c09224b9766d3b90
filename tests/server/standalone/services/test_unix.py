"""What the services have in common that run as a user who owns the key."""

from __future__ import annotations

import getpass
import os

import pytest

from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services import users
from easycluster_server._standalone.services.openrc import OpenrcService
from easycluster_server._standalone.services.rcd import RcdService
from easycluster_server._standalone.services.smf import SmfService
from easycluster_server._standalone.services.steps import WriteKey
from easycluster_server._standalone.services.sysv import SysvService
from easycluster_server._standalone.services.unix import UnixService

SERVICES = (OpenrcService, RcdService, SmfService, SysvService)


@pytest.mark.parametrize("service_class", SERVICES)
def test_the_key_belongs_to_the_user(service_class: type[UnixService]) -> None:
    """The key is given to the user of the service, and to root before that user is removed."""
    service = service_class(("/bin/sh", "-m", "easycluster"))
    install = service.install(Settings({}), "", WriteKey(service.key_path))
    installing = [step.describe() for step in install]
    removing = [step.describe() for step in service.uninstall()]

    assert installing.index(f"run: chown easycluster {service.key_path}") > installing.index(
        f"write a new key to {service.key_path} (mode 0600), unless it exists"
    )
    assert removing.index(f"run: chown root {service.key_path}") < removing.index(
        f"run: {' '.join(service.accounts.remove[0])}"
    )
    assert f"remove {service.log_path}" in removing


@pytest.mark.parametrize("service_class", SERVICES)
def test_what_was_not_tested_is_said(service_class: type[UnixService]) -> None:
    """The file that is written says where the service was tested, or that it was not."""
    service = service_class(("/bin/sh", "-m", "easycluster"))
    (file,) = service.files(Settings({}))

    assert "not" in service.tested
    assert f"It is {service.tested}." in file.content


@pytest.mark.parametrize("service_class", SERVICES)
def test_settings_without_a_way(service_class: type[UnixService]) -> None:
    """Settings that only other systems have a way for are refused, and so is a user that does not exist."""
    service = service_class(("/bin/sh", "-m", "easycluster"))
    find = UnixService.find_problem

    assert find(service, Settings({"strict": True})) == f"--strict is not for services of {service.system}"
    assert "--restart-safe is not" in find(service, Settings({"restart_safe": True}))
    assert "no user 'nobody-here'" in find(service, Settings({"service_user": "nobody-here"}))
    assert find(service, Settings({"service_user": getpass.getuser()})) == ""


def test_user() -> None:
    """The listener runs as the user that is named, or one that is made; becoming others takes root."""
    service = SysvService(("/bin/sh", "-m", "easycluster"))

    assert service.find_user(Settings({})) == users.NAME
    assert service.find_user(Settings({"service_user": "bob"})) == "bob"


def test_closed_folders(tmp_path: os.PathLike[str]) -> None:
    """A program that the user of the service cannot reach is refused with the folder that is closed."""
    os.chmod(tmp_path, 0o700)
    service = OpenrcService((f"{tmp_path}/python", "-m", "easycluster"))

    problem = service.find_problem(Settings({"service_user": "nobody"}))

    assert "others cannot look into /" in problem
    assert service.find_problem(Settings({"run_as": "nobody"})) == ""
