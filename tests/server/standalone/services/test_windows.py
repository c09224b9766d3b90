"""The service of Windows, where nothing is Windows; tests/integration/test_windows_service.py installs it under wine."""

from __future__ import annotations

import sys

import pytest

from easycluster_server._standalone.config.kinds import Setting
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services import windows
from easycluster_server._standalone.services.steps import ServiceError, WriteKey
from easycluster_server._standalone.services.windows import Await, WindowsService

PROGRAM = (r"C:\Program Files\Python\python.exe", "-m", "easycluster")
COMMAND = (
    r'"C:\Program Files\Python\python.exe" -m easycluster_server._command_line.windows_service EasyCluster '
    r"C:\ProgramData\EasyCluster\server.ini C:\ProgramData\EasyCluster\log\server.log"
)

QUERY = "SERVICE_NAME: EasyCluster; TYPE               : 10  WIN32_OWN_PROCESS; STATE              : {}; WIN32_EXIT_CODE    : 0"


class Windows:
    """Answers as the programs of Windows do.

    Attributes:
        state: the service's, as sc.exe prints it; "" if there is none.
        registry: what the registry says of it, by name.
        rule: whether the firewall has a rule.
        ran: the commands that change something.
    """

    def __init__(self) -> None:
        self.state = ""
        self.registry: dict[str, str] = {}
        self.rule = False
        self.ran: list[tuple[str, ...]] = []

    def __call__(self, command: tuple[str, ...]) -> tuple[int, str]:
        if command[:2] == ("sc", "query"):
            return (
                (0, QUERY.format(self.state))
                if self.state
                else (1060, "[SC] EnumQueryServicesStatus:OpenService FAILED")
            )
        if command[:2] == ("reg", "query"):
            value = self.registry.get(command[-1])
            return (0, f"{command[-1]}    REG_SZ    {value}") if value else (1, "ERROR")
        if "show" in command:
            return (
                (0, "Rule Name: EasyCluster") if self.rule else (1, "No rules match the specified criteria.")
            )
        self.ran.append(command)
        return 0, ""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Windows:
    """Stands for the programs of Windows."""
    machine = Windows()
    monkeypatch.setattr(windows, "run_command", machine)
    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", machine)
    monkeypatch.delenv("PROGRAMDATA", raising=False)
    return machine


def run_programs(service: WindowsService, settings: Settings) -> None:
    """Perform the steps of an installation that run programs."""
    for step in service.install(settings, "", WriteKey(service.key_path)):
        if step.describe().startswith("run:"):
            step.perform()


def test_installing(machine: Windows) -> None:
    """A service is made, with its command as one word, restarts, and an account that can read its key and no more."""
    service = WindowsService(PROGRAM)
    run_programs(service, Settings({}))

    create = next(command for command in machine.ran if command[:2] == ("sc", "create"))
    assert create[create.index("binPath=") + 1] == COMMAND
    assert create[create.index("obj=") + 1] == r"NT SERVICE\EasyCluster"
    assert ("sc", "failure") in {command[:2] for command in machine.ran}
    assert ("icacls", service.key_path, "/grant:r", r"NT SERVICE\EasyCluster:(R)", "/q") in machine.ran
    folders = [command for command in machine.ran if command[:2] == ("icacls", service.folder)]
    assert "/setowner" in folders[0]
    assert "/inheritance:r" in folders[1]
    assert machine.ran.index(folders[1]) < machine.ran.index(create)
    assert not [command for command in machine.ran if command[0] == "netsh"]


def test_installing_again(machine: Windows) -> None:
    """A service that is there with the same command and account stays as it is; another one is changed."""
    service = WindowsService(PROGRAM)
    machine.state = "4  RUNNING"
    machine.registry = {"ImagePath": COMMAND, "ObjectName": r"NT SERVICE\EasyCluster"}
    run_programs(service, Settings({}))
    assert machine.ran == []

    run_programs(service, Settings({"service_user": "LocalSystem"}))
    assert ("sc", "config") in {command[:2] for command in machine.ran}
    assert ("sc", "create") not in {command[:2] for command in machine.ran}


def test_firewall(machine: Windows) -> None:
    """The rule is for the port, the program and the allowed networks; it is made if that is wanted, or else told."""
    service = WindowsService(PROGRAM)
    settings: dict[str, Setting] = {"port": 12000, "allow": ["192.0.2.0/24", "198.51.100.0/24"]}
    run_programs(service, Settings({**settings, "open_firewall": True}))

    (rule,) = (command for command in machine.ran if command[0] == "netsh")
    assert rule[-3:] == ("localport=12000", f"program={PROGRAM[0]}", "remoteip=192.0.2.0/24,198.51.100.0/24")
    assert service.advise(Settings({**settings, "open_firewall": True})) == []
    (advice,) = service.advise(Settings(settings))
    assert "netsh advfirewall firewall add rule name=EasyCluster" in advice
    machine.rule = True
    assert service.advise(Settings(settings)) == []


@pytest.mark.parametrize(
    ("state", "installed", "running"),
    [("", False, False), ("1  STOPPED", True, False), ("4  RUNNING", True, True)],
)
def test_state(machine: Windows, state: str, installed: bool, running: bool) -> None:
    """Whether it is there, and whether it runs, is what sc.exe says."""
    machine.state = state

    assert (WindowsService(PROGRAM).is_installed(), WindowsService(PROGRAM).is_running()) == (
        installed,
        running,
    )


def test_state_in_other_languages(machine: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of the state counts, whatever the words around it."""
    monkeypatch.setattr(
        windows,
        "run_command",
        lambda command: (0, "SERVICE_NAME: x; TYP : 10  WIN32_OWN_PROCESS; STATUS : 4  RUNNING; y"),
    )

    assert WindowsService(PROGRAM).is_running()


def test_waiting(machine: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    """One waits while it starts or stops; one that has stopped instead of starting is an error that names the log."""
    states = iter(["2  START_PENDING", "4  RUNNING"])
    monkeypatch.setattr(windows, "run_command", lambda command: (0, QUERY.format(next(states))))
    assert Await(4, "server.log").perform() == ""

    monkeypatch.setattr(windows, "run_command", machine)
    assert Await(1, "server.log").perform() == ""
    machine.state = "1  STOPPED"
    with pytest.raises(ServiceError, match=r"the service does not start; see server\.log"):
        Await(4, "server.log").perform()


@pytest.mark.parametrize(
    ("program", "settings", "text"),
    [
        (PROGRAM[0], {}, ""),
        (PROGRAM[0], {"strict": True}, "--strict is not for services of Windows"),
        (PROGRAM[0], {"run_as": "ann"}, "--run-as is not for services of Windows"),
        (PROGRAM[0], {"service_user": r".\ann"}, "has a password"),
        (PROGRAM[0], {"service_user": r"FIRM\robots$"}, ""),
        (r"C:\Users\ann\python.exe", {}, "cannot read C:"),
        (r"C:\Users\ann\python.exe", {"service_user": "LocalSystem"}, ""),
    ],
)
def test_problems(machine: Windows, program: str, settings: dict[str, str | bool], text: str) -> None:
    """What cannot work is refused, with the way out."""
    problem = WindowsService((program, "-m", "easycluster")).find_problem(Settings(settings))

    assert text in problem
    assert bool(problem) == bool(text)


def test_virtual_environment(machine: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is the interpreter itself, which is told of the virtual environment by a variable."""
    launcher = r"C:\work\venv\Scripts\python.exe"
    monkeypatch.setattr(sys, "executable", launcher)
    monkeypatch.setattr(sys, "_base_executable", PROGRAM[0], raising=False)
    service = WindowsService((launcher, "-m", "easycluster"))
    run_programs(service, Settings({}))

    assert service.serve_command[0] == PROGRAM[0]
    (variable,) = (command for command in machine.ran if command[0] == "reg")
    assert f"__PYVENV_LAUNCHER__={launcher}" in variable


def test_removing(machine: Windows) -> None:
    """It is stopped, waited for, and removed, and so is its rule; where nothing is there, nothing is done."""
    service = WindowsService(PROGRAM)
    for step in service.unregister():
        step.perform()
    assert machine.ran == []

    assert [step.describe() for step in service.unregister()] == [
        "run: sc stop EasyCluster",
        "wait until the service has stopped",
        "run: sc delete EasyCluster",
        "run: netsh advfirewall firewall delete rule name=EasyCluster",
    ]
