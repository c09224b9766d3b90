"""examples/easycluster_demo.py, over every transport: it checks its own results."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.waiting import PATIENCE

DEMO = Path(__file__).parents[2] / "examples" / "easycluster_demo.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return subprocess.run(
        [sys.executable, str(DEMO), *arguments],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )


def arguments_for(transport: Any, request: pytest.FixtureRequest) -> list[str]:
    """What a user would type to run it over a transport."""
    if transport.name == "tcp":
        key_file = request.getfixturevalue("key_file")
        return ["-k", str(key_file), f"127.0.0.1:{request.getfixturevalue('tcp_server').port}"]
    if transport.name == "ssh":
        return [
            f"h:ssh=yes:rpython={sys.executable}:extra={shlex.join(request.getfixturevalue('sshd').options)}"
        ]
    return []


def test_demo(transport: Any, request: pytest.FixtureRequest) -> None:
    """Every section runs, and nothing is printed where errors are."""
    result = run(*arguments_for(transport, request))
    sections = re.findall(r"^(\d+)\. ", result.stdout, re.MULTILINE)

    assert (result.returncode, result.stderr) == (0, "")
    assert sections == [str(number) for number in range(1, DEMO.read_text().count("(demo: Demo)") + 1)]
    assert "left out" not in result.stdout
    assert result.stdout.endswith("Done: everything was as it should be.\n")


def test_wrong_results(tmp_path: Path) -> None:
    """A result that is not as it should be ends it with status 1 and what was expected; so does a missing error."""
    source = DEMO.read_text()
    for right, wrong, says in (
        ("return a + b", "return a - b", "a.addvals(3, 4) gave -1 where 7 was expected"),
        ("return a / b", "return 0", "client.divide(1, 0) did not raise ZeroDivisionError"),
    ):
        changed = tmp_path / "demo.py"
        changed.write_text(source.replace(right, wrong, 1))
        result = subprocess.run(
            [sys.executable, str(changed)], capture_output=True, text=True, timeout=4 * PATIENCE, check=False
        )

        assert (result.returncode, result.stderr) == (1, f"easycluster_demo: {says}\n")


def test_spec_that_cannot_be_used() -> None:
    """A spec that cannot be used ends it with one line that quotes it."""
    result = run("host:nope=1")

    assert result.returncode == 1
    assert re.fullmatch("easycluster_demo: .*'host:nope=1'.*\n", result.stderr)


def test_every_feature_is_shown() -> None:
    """Every name of the star import is used, but those that make keys and files, and names of the same thing."""
    import easycluster

    source = DEMO.read_text()
    elsewhere = {
        "AutoThreadingClient",
        "Connection",
        "DefaultRemoteProxy",
        "SelfIterProxy",
        "definitions_module",
        "generate_key",
        "read_key_file",
        "write_key_file",
    }

    assert {name for name in easycluster.__all__ if not re.search(rf"\b{name}\b", source)} == elsewhere
