"""Proxies as type checkers see them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

#: Each line that is wrong says so.
SNIPPET = """# pyright: strict

from easycluster import FileProxy, GeneratorProxy, RemoteProxy

def use(file: FileProxy, numbers: GeneratorProxy, proxy: RemoteProxy) -> None:
    text: str = file.read()
    file.read(5, nonblocking=True).wait()
    print("x", file=file)
    file.writelines(["a", "b"], threadid=3)
    file.seek(0, 2)
    for line in file:
        print(line)
    with file as same:
        same.close()
    if file.closed and file.name and file.mode.startswith("r"):
        file.flush()
    numbers.send(4)
    numbers.throw(ValueError("x"))
    numbers.close()
    for number in numbers:
        print(number)
    first = next(numbers)
    print(text, first, proxy.anything(1).at_all, list(numbers))
    file.read("x")  # wrong
    file.write()  # wrong
    file.seek()  # wrong
    file.closed.read()  # wrong
    numbers.send()  # wrong
"""


@pytest.mark.parametrize(
    "checker", [["mypy", "--strict"], ["pyright", "--pythonpath", sys.executable]], ids=["mypy", "pyright"]
)
def test_files_and_generators(checker: list[str], tmp_path: Path) -> None:
    """The methods of files and generators have types: correct code needs no exception, wrong code is found."""
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    command = [sys.executable, "-m", *checker, str(snippet)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    found = {int(line) for line in re.findall(r"snippet\.py:(\d+):.*error", result.stdout)}
    wrong = {number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith("# wrong")}
    assert found == wrong, result.stdout + result.stderr
