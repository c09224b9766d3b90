"""examples/demo.py and examples/easycluster_demo.py, over every transport. The second checks its own results."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.waiting import PATIENCE

EXAMPLES = Path(__file__).parents[2] / "examples"
SHORT_DEMO = EXAMPLES / "demo.py"
DEMO = EXAMPLES / "easycluster_demo.py"


def run(*arguments: str, script: Path = DEMO) -> subprocess.CompletedProcess[str]:
    """Run a demo to its end."""
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )


def arguments_for(transport: Any, request: pytest.FixtureRequest) -> list[str]:
    """Return the spec that a user would type to run a demo over a transport."""
    if transport.server:
        return [f"127.0.0.1:{transport.server.port}:kf={request.getfixturevalue('key_file')}"]
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


def test_demo_with_a_default_key(key_file: Path, tcp_server: Any) -> None:
    """The key of the option -k is for a spec that has none."""
    result = run("-k", str(key_file), f"127.0.0.1:{tcp_server.port}")

    assert (result.returncode, result.stderr) == (0, "")


def test_short_demo(transport: Any, request: pytest.FixtureRequest) -> None:
    """Each line of code of the short demo stands beside its result; of the process that ends itself, its end is told."""
    specs = arguments_for(transport, request) * 2
    result = run(*specs, script=SHORT_DEMO)
    results = dict(re.findall(r"^   (\S.*?) {2,}(.+)$", result.stdout, re.MULTILINE))

    told = "" if transport.server else r"easycluster: the process \d+ on .* has ended itself with status 1\n"
    assert result.returncode == 0
    assert re.fullmatch(told, result.stderr)
    assert results["a.eval('2 ** 100')"] == str(2**100)
    assert results["counts = [response.wait() for response in responses]"] == "[6057, 5244]"
    assert results["sum(counts)"] == "11301"
    assert "32 MB" in results["result = a.scale(array, 0.5)"]
    assert result.stdout.rstrip().endswith("nothing is left running")


def test_failures_in_the_short_demo() -> None:
    """The short demo shows a remote stack trace, a host that is not there, and a lost one beside hosts that go on."""
    shown = run(script=SHORT_DEMO).stdout

    assert re.search(r"divide\(1, 0.*raises ZeroDivisionError.*\n(.*\n)+.*return a / b", shown)
    assert re.search(r"raises ConnectError:\n.*localhost:1", shown)
    assert re.search(r"raises OutcomeUnknown: .*\(local:3\)", shown)
    assert re.search(r"wait\(\) for response in responses\] +\[3245, 3245\]", shown)


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


@pytest.mark.parametrize("script", [SHORT_DEMO, DEMO], ids=lambda script: script.stem)
def test_spec_that_cannot_be_used(script: Path) -> None:
    """A spec that cannot be used ends a demo with one line that quotes the spec."""
    result = run("host:nope=1", script=script)

    assert result.returncode == 1
    assert re.fullmatch(f"{script.stem}: .*'host:nope=1'.*\n", result.stderr)


def test_every_feature_is_shown() -> None:
    """Every name of the star import is used, but those that make keys and files, names of the same thing, and those of
    single errors."""
    import easycluster

    source = DEMO.read_text()
    elsewhere = {
        "AutoThreadingClient",
        "CallTimeout",
        "ConnectError",
        "Connection",
        "ConnectionLost",
        "DefaultRemoteProxy",
        "DeserializationError",
        "SelfIterProxy",
        "SerializationError",
        "definitions_module",
        "generate_key",
        "read_key_file",
        "write_key_file",
    }

    assert {name for name in easycluster.__all__ if not re.search(rf"\b{name}\b", source)} == elsewhere
