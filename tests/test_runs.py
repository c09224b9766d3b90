"""A run of the tests ends, whatever one of them does, and names that one; all the others run."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.xdist_group("runs")

ROOT = Path(__file__).parents[1]

CONFTEST = 'pytest_plugins = ["helpers.distribution", "helpers.signals", "helpers.time_limits"]\n'

#: The test that hangs stands between others, so that its worker has finished some and has some still to do.
TESTS = """
import ctypes, os, pytest, signal, threading

@pytest.mark.parametrize("number", range(4))
def test_before(number): ...

def test_{name}(request):
    {body}

@pytest.mark.parametrize("number", range(4))
def test_after(number): ...

@pytest.mark.xdist_group("group of {name}")
@pytest.mark.parametrize("number", range(4))
def test_in_a_group(number): ...

def hang():
    threading.Event().wait()

def hang_in_c(library):
    mutex = ctypes.create_string_buffer(256)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)
"""
OTHERS = [f"test_{place}[{number}]" for place in ("before", "after") for number in range(4)]
OTHERS_IN_GROUPS = [f"test_in_a_group[{number}]@group of " for number in range(4)]

HANGS = {
    "in_python": "hang()",
    "in_teardown_after_a_failure": "request.addfinalizer(hang); raise ValueError",
    "in_c_without_the_gil": "hang_in_c(ctypes.CDLL(None))",
    "in_c_with_the_gil": "hang_in_c(ctypes.PyDLL(None))",
    "with_sigalrm_blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); hang()",
    "by_being_stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "by_being_killed": "os.kill(os.getpid(), signal.SIGKILL)",
}

#: Starts a command as `nohup` and a shell in the background do, and with signals blocked beside that.
IN_THE_BACKGROUND = """
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGALRM])
os.execv(sys.argv[1], sys.argv[1:])
"""

TEST_OF_SIGNALS = """
import pytest, signal, subprocess

def test_interrupt():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)

def test_child():
    status = subprocess.check_output(["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"], text=True).split()
    # 32 and 33 are the C library's own, which Python cannot set.
    assert [int(status[index], 16) & 0x7FFFFFFF for index in (1, 3)] == [0, 0]
"""

HANG = "import threading; threading.Event().wait()\n"
HANG_AT_THE_END = f"def pytest_sessionfinish(): {HANG}"


class Run(NamedTuple):
    """A run of pytest that has ended.

    Attributes:
        status: its exit status.
        passed, failed: the tests that its summary names so.
        output: all that it printed.
    """

    status: int
    passed: Counter[str]
    failed: Counter[str]
    output: str


def run_pytest(folder: Path, *options: str, starter: str = "", conftest: str = "") -> Run:
    """Run the tests of a folder with the options of this project, and with limits of seconds."""
    (folder / "conftest.py").write_text(CONFTEST + conftest)
    (distribution,) = re.findall(r"^PYTEST +:= -n auto (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    own = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider", "-rA"]
    run = subprocess.Popen(
        [
            *((sys.executable, "-c", starter) if starter else ()),
            *(sys.executable, "-m", "pytest", *own, *distribution.split(), *options, "."),
        ],
        cwd=folder,
        env={**os.environ, "PY_COLORS": "0", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = run.communicate(timeout=100)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    named = re.findall(r"^(PASSED|FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
    passed = Counter(test for outcome, test in named if outcome == "PASSED")
    failed = Counter(test for outcome, test in named if outcome != "PASSED")
    return Run(run.returncode, passed, failed, output)


@pytest.fixture(scope="module")
def hung_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which many tests hang."""
    folder = tmp_path_factory.mktemp("hangs")
    for name, body in HANGS.items():
        (folder / f"test_{name}.py").write_text(TESTS.format(name=name, body=body))
    return run_pytest(folder, "-n", "3", "--timeout=5")  # less is not enough on a loaded machine


@pytest.mark.parametrize("name", HANGS)
def test_hung_test_has_failed(hung_run: Run, name: str) -> None:
    """A test that hangs fails by its name, in whatever it hangs."""
    assert f"test_{name}.py::test_{name}" in hung_run.failed, hung_run.output


@pytest.mark.parametrize("name", HANGS)
def test_others_have_run(hung_run: Run, name: str) -> None:
    """The tests before and after it have run once, those of its group too."""
    others = [*OTHERS, *(test + name for test in OTHERS_IN_GROUPS)]
    expected = {f"test_{name}.py::{test}": 1 for test in others}
    passed = {test: number for test, number in hung_run.passed.items() if test.startswith(f"test_{name}.py")}

    assert passed == expected, hung_run.output


def test_run_has_ended_in_order(hung_run: Run) -> None:
    """The run ends with its summary, and nothing but what hung has failed."""
    assert hung_run.status == pytest.ExitCode.TESTS_FAILED
    assert hung_run.failed.keys() == {f"test_{name}.py::test_{name}" for name in HANGS}
    assert "maximum crashed workers" not in hung_run.output


@pytest.mark.parametrize("name", sorted(HANGS.keys() - {"by_being_killed", "by_being_stopped"}))
def test_place_is_shown(hung_run: Run, name: str) -> None:
    """Where a test hung is seen in the stack of its thread, although another hook or C code is above it."""
    stacks = re.findall(
        r'File "[^"]*test_(\w+)\.py", line \d+ in hang|^test_(\w+)\.py:\d+:', hung_run.output, re.MULTILINE
    )

    assert name in {name for pair in stacks for name in pair}, hung_run.output


SLOW = """
import pytest, time

@pytest.mark.timeout(60)
def test():
    end = time.monotonic() + 3
    while time.monotonic() < end:
        time.sleep(0.1)
"""


def test_limit_of_a_mark(tmp_path: Path) -> None:
    """A test whose mark gives it more time has that time; a mark beyond what the run waits for is refused."""
    (tmp_path / "test_slow.py").write_text(SLOW)

    run = run_pytest(tmp_path, "-n", "0", "--timeout=1")
    assert run.passed.keys() == {"test_slow.py::test"}, run.output
    run = run_pytest(tmp_path, "-n", "0", "--timeout=1", "-o", "longest_timeout=59")
    assert run.status != 0
    assert "longest_timeout in pyproject.toml has to be 60 or more" in run.output


def test_signals_of_a_run_in_the_background(tmp_path: Path) -> None:
    """A run that was started with signals ignored and blocked gives its tests, and what they start, none of that."""
    (tmp_path / "test_signals.py").write_text(TEST_OF_SIGNALS)

    run = run_pytest(tmp_path, "-n", "1", starter=IN_THE_BACKGROUND)

    assert run.passed.keys() == {"test_signals.py::test_interrupt", "test_signals.py::test_child"}, run.output


@pytest.mark.parametrize(
    ("conftest", "test"), [("", HANG), (HANG_AT_THE_END, "def test(): ...\n")], ids=["before", "after"]
)
def test_run_that_hangs_outside_of_tests(tmp_path: Path, conftest: str, test: str) -> None:
    """A run that hangs before its tests or after them ends, too."""
    (tmp_path / "test_one.py").write_text(test)

    run = run_pytest(tmp_path, "-n", "1", "--max-worker-restart=0", "--timeout=1", conftest=conftest)

    assert run.status != 0
    assert "no worker has reported anything for 3 s" in run.output
