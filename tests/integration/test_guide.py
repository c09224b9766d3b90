"""The examples of docs/guide.md and docs/recipes.md: all run as they stand, on hosts of the names that they use."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.documented import PORT, Leads, end_tunnels, run_script, start_tunnel
from helpers.servers import Server, generate_key_file, run_command
from helpers.sshd import free_port

StartServer = Callable[..., Server]

DOCS = Path(__file__).parents[2] / "docs"
GUIDE, RECIPES = ((DOCS / name).read_text() for name in ("guide.md", "recipes.md"))
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
EXAMPLES = [text for kind, text in BLOCKS if kind == "python"]
RECIPE_EXAMPLES = re.findall(r"^```python\n(.*?)^```", RECIPES, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
(SCRIPT,) = [text for text in EXAMPLES if text.startswith("# do_stuff.py\n")]


def expected_lines(example: str) -> list[str]:
    """Return what an example prints, as the comments behind `print` say."""
    return re.findall(r"^ *print\(.*\) +# (.+)$", example, re.MULTILINE)


def names(page: str, examples: list[str]) -> list[str]:
    """Return a name for each example: its number and the heading above it."""
    found = []
    for number, text in enumerate(examples):
        above = re.findall(r"^##+ (.+)$", page[: page.index(text)], re.MULTILINE)
        found.append(f"{number}-{above[-1]}")
    return found


def run_example(example: str, start_server: StartServer, folder: Path) -> list[str]:
    """Run an example in a process of its own; return the lines that it prints."""
    leads: Leads = {}
    if "lab2" in example:
        leads = {("lab2", PORT): start_server("-k", generate_key_file(folder / "secret.key")).port}
    result = run_script(["-c", example], folder, leads)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.needs_sshd
@pytest.mark.parametrize("example", EXAMPLES, ids=names(GUIDE, EXAMPLES))
def test_examples(example: str, start_server: StartServer, documented_ssh: Path, tmp_path: Path) -> None:
    """Each example prints what its comments say and nothing else."""
    assert run_example(example, start_server, tmp_path) == expected_lines(example)


@pytest.mark.needs_sshd
@pytest.mark.parametrize("recipe", RECIPE_EXAMPLES, ids=names(RECIPES, RECIPE_EXAMPLES))
def test_recipes(recipe: str, start_server: StartServer, documented_ssh: Path, tmp_path: Path) -> None:
    """Each recipe prints what its comments say, perhaps among other lines."""
    printed = run_example(recipe, start_server, tmp_path)

    assert [line for line in printed if line in expected_lines(recipe)] == expected_lines(recipe)


@pytest.mark.needs_sshd
def test_command_lines(
    start_server: StartServer, documented_ssh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command lines run one after another in one folder. Ports that somebody else may have here are others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "do_stuff.py").write_text(SCRIPT)
    keys = [generate_key_file(Path(name)) for name in ("common.key", "odd.key")]
    common, odd = (start_server("-k", key).port for key in keys)
    leads = {("lab2", PORT): common, ("lab3", PORT): common, ("odd", PORT): odd}
    tunnel = free_port()
    tunnels: list[int] = []
    connected: list[str] = []

    try:
        for line in COMMANDS:
            command, *arguments = line.replace("11001", str(tunnel)).replace(str(PORT), str(common)).split()
            if command == "python":
                result = run_script(arguments, tmp_path, leads)
                assert (result.returncode, result.stderr) == (0, "")
                connected += [printed.split()[0] for printed in result.stdout.splitlines()]
            elif command == "ssh":
                tunnels.append(start_tunnel(" ".join([command, *arguments]), tunnel))
            elif "-S" in arguments:
                start_server(*(argument for argument in arguments if argument != "-S"))
            else:
                assert (command, run_command(*arguments).returncode) == ("easycluster", 0)
    finally:
        end_tunnels(tunnels)

    assert connected == [f"lab2:{PORT}", f"lab3:{PORT}", f"odd:{PORT}", "lab1:22", f"localhost:{tunnel}"]
    assert len(tunnels) == 1
