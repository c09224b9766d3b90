"""``os.exec*`` in a process that serves a connection; an audit hook cannot be removed, so each test has a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import easycluster_server
from helpers.pythons import every_python, find_pythons

pytestmark = pytest.mark.integration

PROLOGUE = "import os, sys\nfrom easycluster_server._serving.exec_guard import refuse_exec\nrefuse_exec()\n"


def run(code: str) -> str:
    """Run code in a process that is not to be replaced; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", PROLOGUE + code], check=True, capture_output=True, text=True
    )
    return result.stdout


@pytest.mark.parametrize(
    "call",
    ["execv('/bin/echo', ['echo', 'x'])", "execlp('echo', 'echo', 'x')", "execvpe('echo', ['echo'], {})"],
)
def test_exec_is_refused(call: str) -> None:
    """Each of these functions raises, and says what to call instead."""
    printed = run(f"try: os.{call}\nexcept PermissionError as error: print(error)\n")

    assert "subprocess.run()" in printed


def test_other_processes_may() -> None:
    """A process that was forked may be replaced, and so may those that `subprocess` starts."""
    code = (
        "import subprocess\n"
        "subprocess.run(['echo', 'started'], check=True)\n"
        "if os.fork() == 0: os.execvp('echo', ['echo', 'replaced'])\n"
        "os.wait()\n"
    )

    assert run(code) == "started\nreplaced\n"


@pytest.mark.parametrize("call", ["execv('/bin/echo', ['echo'])", "execvpe('echo', ['echo'], {})"])
@every_python(since="3.7")  # 3.6 reads our sources only when they are minified
def test_every_python(version: str, call: str) -> None:
    """Old Pythons, which have no audit hooks, refuse it as well, and let processes that were forked do it."""
    code = (
        f"try: os.{call}\nexcept PermissionError: print('refused', flush=True)\n"
        f"if os.fork() == 0: os.{call}\n"
        "os.wait()\n"
    )
    folder = Path(easycluster_server.__file__).parent.parent
    result = subprocess.run(
        [find_pythons()[version], "-c", PROLOGUE + code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]},
    )

    assert result.stdout == "refused\n\n"
