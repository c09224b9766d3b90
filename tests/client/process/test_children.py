"""Processes that are ended, with those that they have started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster_client._process import children as children_module
from easycluster_server._system.posix.proc import Process, find_descendants, read_processes
from helpers.masters import end, lives
from helpers.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What is put here is killed and waited for after the test."""
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for each in found:
        each.kill()
        each.wait()


def below(process: subprocess.Popen[bytes]) -> list[Process]:
    """The descendants of a process."""
    return find_descendants(process.pid, read_processes())


def test_children(running: list[subprocess.Popen[bytes]]) -> None:
    """A process is ended with its children, and theirs."""
    script = "(sleep 1000; :) & sleep 1000"
    running.append(process := subprocess.Popen(["sh", "-c", script]))
    children = wait_until(lambda: len(found := below(process)) == 3 and found)
    assert isinstance(children, list)

    children_module.terminate(process)

    assert process.returncode == -15
    assert [each.pid for each in children if lives(each)] == []


def test_others(running: list[subprocess.Popen[bytes]]) -> None:
    """No other process is touched."""
    running += [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]

    children_module.terminate(running[0])

    assert running[0].returncode == -15
    assert running[1].poll() is None


def test_order(running: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """Who wants to put something in order before it goes may do so: parents and children are asked to end."""
    ended = tmp_path / "ended"
    ended.touch()
    child = f"trap 'echo child >>{ended}; exit' TERM; echo >{tmp_path}/child; while :; do sleep 0.01; done"
    (tmp_path / "child.sh").write_text(child)
    parent = (
        f"trap 'wait; echo parent >>{ended}; exit 3' TERM; sh {tmp_path}/child.sh & "
        f"echo >{tmp_path}/parent; while :; do sleep 0.01; done"
    )
    running.append(process := subprocess.Popen(["sh", "-c", parent]))
    wait_until((tmp_path / "parent").exists)
    wait_until((tmp_path / "child").exists)

    children_module.terminate(process)

    assert ended.read_text().split() == ["child", "parent"]
    assert process.returncode == 3


def test_deaf(
    running: list[subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not go when asked is killed, children as well."""
    monkeypatch.setattr(children_module, "GRACE", 0.2)
    deaf = "trap '' TERM; echo >{}; while :; do sleep 1000; done"
    child, parent = tmp_path / "child", tmp_path / "parent"
    script = f"({deaf.format(child)}) & {deaf.format(parent)}"
    running.append(process := subprocess.Popen(["sh", "-c", script]))
    wait_until(child.exists)
    wait_until(parent.exists)
    children = wait_until(lambda: len(found := below(process)) == 3 and found)
    assert isinstance(children, list)

    children_module.terminate(process)

    assert process.returncode == -9
    assert [each.pid for each in children if lives(each)] == []


def test_deaf_child(
    running: list[subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that does not go when asked is killed although its parent has gone."""
    monkeypatch.setattr(children_module, "GRACE", 0.2)
    ready = tmp_path / "ready"
    script = f"sh -c 'trap \"\" TERM; echo >{ready}; sleep 1000; sleep 1000' & wait"
    running.append(process := subprocess.Popen(["sh", "-c", script]))
    wait_until(ready.exists)
    children = below(process)

    children_module.terminate(process)

    assert process.returncode == -15
    assert [each.pid for each in children if lives(each)] == []


def test_ended_already(running: list[subprocess.Popen[bytes]]) -> None:
    """A process that has ended by itself keeps its status."""
    running.append(process := subprocess.Popen(["sh", "-c", "exit 7"]))
    children_module.wait_for_end(process, 30)

    children_module.terminate(process)

    assert process.returncode == 7


def test_wait(running: list[subprocess.Popen[bytes]]) -> None:
    """Waiting ends with the process or with the time."""
    running.append(process := subprocess.Popen(["cat"], stdin=subprocess.PIPE))
    assert process.stdin is not None

    children_module.wait_for_end(process, 0.01)
    assert process.returncode is None
    process.stdin.close()
    children_module.wait_for_end(process, 30)

    assert process.returncode == 0


def test_waited_for_already(running: list[subprocess.Popen[bytes]]) -> None:
    """When a process has been waited for, whoever has its id now is left alone, and what that one has started."""
    running.append(other := subprocess.Popen(["sh", "-c", "sleep 1000; :"]))
    (child,) = wait_until(lambda: below(other))
    with subprocess.Popen(["true"]) as process:
        pass
    process.pid = other.pid

    children_module.terminate(process)

    assert lives(child)
    assert other.poll() is None
    end(child)


IN_NAMESPACE = """
import subprocess
import sys
from easycluster_client._process import children
from easycluster_server._system.programs import identify_child
process = subprocess.Popen(["sleep", "600"])
print(identify_child(process.pid), children._find_descendants(process.pid))
children.terminate(process)
print(process.returncode)
"""


@pytest.mark.needs_mounts
@pytest.mark.parametrize("options", [[], ["--mount-proc"]], ids=["foreign", "own"])
def test_namespace_of_processes(options: list[str]) -> None:
    """In a namespace whose /proc shows other processes nothing is looked for in there."""
    command = ["unshare", "--pid", "--fork", *options, sys.executable, "-c", IN_NAMESPACE]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")

    assert (printed[0] == "0 []") == (not options)
    assert printed[1] == "-15"
