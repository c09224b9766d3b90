"""``os.exec*`` in a process that serves a connection; an audit hook cannot be removed, so each test has a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


def test_python_without_audit_hooks() -> None:
    """Python 3.6 and 3.7 have none, and nothing is refused there."""
    code = (
        "import os, sys\ndel sys.addaudithook\n"
        "from easycluster_server._serving.exec_guard import refuse_exec\nrefuse_exec()\n"
        "os.execvp('echo', ['echo', 'replaced'])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert result.stdout == "replaced\n"
