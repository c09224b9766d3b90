"""Every master's Python with every host's: what docs/pythons.md says of each pair is what happens."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.features import load_features
from helpers.pythons import REQUIRED, find_pythons
from helpers.servers import Server
from helpers.sshd import Sshd

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "pythons.md"

HOSTS = REQUIRED
MASTERS = REQUIRED[REQUIRED.index("3.10") :]
SERVERS = REQUIRED[REQUIRED.index("3.8") :]

Cells = dict[str, set[str]]
"""From the version of a host's Python to the features that do not work."""


def read_tables() -> list[list[list[str]]]:
    """The tables of the document: rows of cells, the first of them the header."""
    tables: list[list[list[str]]] = [[]]
    for line in DOCUMENT.read_text().splitlines():
        if not line.startswith("|"):
            tables.append([])
        elif not re.fullmatch(r"[|-]+", line):
            tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return [table for table in tables if table]


def read_legend() -> dict[str, str]:
    """From each letter of the document's table to the feature that it stands for."""
    (legend,) = (table for table in read_tables() if table[0][:2] == ["letter", "does not work"])
    return {letter: name for letter, name, *_ in legend[1:]}


def read_pairs() -> dict[str, Cells]:
    """What the document says, from the version of a master's Python to its row."""
    (table,) = (table for table in read_tables() if table[0][0].startswith("master"))
    legend = read_legend()
    versions = table[0][1:]
    return {
        master: {
            host: set() if cell == "yes" else {legend[letter] for letter in cell.split()}
            for host, cell in zip(versions, cells, strict=True)
        }
        for master, *cells in table[1:]
    }


@pytest.fixture(scope="module")
def python_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PYTHONPATH for masters: our packages, the tests' helpers, and the two packages that clients need."""
    needed = tmp_path_factory.mktemp("needed")
    for name in ("cloudpickle", "typing_extensions"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        file = Path(spec.origin)
        source = file.parent if spec.submodule_search_locations else file
        (needed / source.name).symlink_to(source)
    return os.pathsep.join(map(str, [*ROOT.glob("packages/*/src"), ROOT / "tests", needed]))


def run_master(version: str, python_path: str, hosts: dict[str, dict[str, Any]]) -> Cells:
    """Let a master's Python try all features with these hosts; a failure of another kind fails the test."""
    result = subprocess.run(
        [find_pythons()[version], "-W", "error", "-m", "helpers.pairs_master", json.dumps(hosts)],
        env={**os.environ, "PYTHONPATH": python_path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, dict[str, str]] = json.loads(result.stdout)
    broken = [
        f"{name}, master {version}, host {host}:\n{outcome}"
        for host, outcomes in found.items()
        for name, outcome in outcomes.items()
        if outcome not in {"works", "lacking"}
    ]
    assert not broken, "\n".join([*broken, result.stderr])
    return {
        host: {name for name, outcome in outcomes.items() if outcome == "lacking"}
        for host, outcomes in found.items()
    }


def test_the_document_is_complete() -> None:
    """It has a row for each master, a column for each host, and names every feature that is tried."""
    pairs = read_pairs()
    tried = re.findall(r"^- \*\*(.+?)\*\*:", DOCUMENT.read_text(), re.MULTILINE)

    assert tuple(pairs) == MASTERS
    assert {tuple(row) for row in pairs.values()} == {HOSTS}
    assert sorted(tried) == sorted(load_features())
    assert set(read_legend().values()) == set().union(
        *(cell for row in pairs.values() for cell in row.values())
    )


@pytest.mark.needs_sshd
@pytest.mark.needs_pythons
@pytest.mark.parametrize("master", MASTERS)
def test_hosts_reached_by_ssh(sshd: Sshd, python_path: str, master: str) -> None:
    """With each Python on a host nothing fails but what the document says, and that as it says."""
    way = {"host": "h", "ssh": True, "extra_args": sshd.options}
    hosts = {version: {**way, "rpython": find_pythons()[version]} for version in HOSTS}

    assert run_master(master, python_path, hosts) == read_pairs()[master]


@pytest.mark.needs_pythons
def test_installed_servers(
    start_server: Callable[..., Server], key_file: Path, python_path: str, tmp_path: Path
) -> None:
    """With servers under each Python that they can be installed for it is the same over TCP."""
    installed = [ROOT / "packages" / name / "src" for name in ("easycluster-protocol", "easycluster-server")]
    env = {"PYTHONPATH": os.pathsep.join(map(str, installed))}
    hosts = {}
    for version in SERVERS:
        server = start_server(command=(find_pythons()[version], "-W", "error", "-m", "easycluster"), env=env)
        hosts[version] = {"key_file": str(key_file), "host": "127.0.0.1", "port": server.port}
    found = {master: run_master(master, python_path, hosts) for master in MASTERS}

    documented = read_pairs()
    assert found == {
        master: {version: documented[master][version] for version in SERVERS} for master in MASTERS
    }
