from __future__ import annotations

import subprocess
import sys

import pytest

from easycluster_server._system.this_process import report, report_briefly


def run(code: str) -> str:
    """Run code in a process of its own, where ``this_process`` is the module; return what it prints."""
    prelude = "import os\nfrom easycluster_server._system import this_process\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2), ()])
def test_standard_descriptors_are_occupied(closed: tuple[int, ...]) -> None:
    """FutureCondition descriptors that are closed lead nowhere then, for children too; the others stay as they are."""
    code = f"""
keep = os.dup(1)
for descriptor in {closed}:
    os.close(descriptor)
before = len(os.listdir("/proc/self/fd"))
this_process.occupy_standard_descriptors()
found = [os.readlink(f"/proc/self/fd/{{n}}") == os.devnull and os.get_inheritable(n) for n in {closed}]
os.write(keep, repr((found, len(os.listdir("/proc/self/fd")) - before)).encode())
"""

    assert run(code) == repr(([True] * len(closed), len(closed)))


def raise_error() -> None:
    """Fail."""
    raise ValueError("wrong")


def test_reports(capfd: pytest.CaptureFixture[str]) -> None:
    """An exception is printed whole, or as one line that names the place."""
    try:
        raise_error()
    except ValueError as error:
        report(error)
        whole = capfd.readouterr().err
        report_briefly(error)
        report_briefly(KeyError("never raised"))
    brief = capfd.readouterr().err.splitlines()
    line = raise_error.__code__.co_firstlineno + 2

    assert whole.startswith("Traceback")
    assert whole.endswith("\nValueError: wrong\n")
    assert brief == [
        f"easycluster: raised between two calls: ValueError: wrong ({__file__}, line {line}, in raise_error)",
        "easycluster: raised between two calls: KeyError: 'never raised'",
    ]
