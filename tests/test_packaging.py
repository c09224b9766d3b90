"""The four distributions: what is in their wheels and sdists, and that the server's two install alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, DeserializationError
from easycluster_protocol.keys import read_key_file
from helpers.pythons import find_pythons
from helpers.servers import Server

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
IMPORT_PACKAGES = {
    "easycluster-bootstrap": ["easycluster_bootstrap"],
    "easycluster-client": ["easycluster_client"],
    "easycluster-protocol": ["easycluster", "easycluster_protocol"],
    "easycluster-server": ["easycluster_server"],
}
NAMES = sorted(IMPORT_PACKAGES)

# One worker of pytest-xdist runs them all, so that everything is built once.
pytestmark = pytest.mark.xdist_group("packaging")


def run(*command: object, cwd: Path | None = None) -> str:
    """Runs a command away from this checkout, returns what it printed, and shows that when it fails."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))
    }
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, "PIP_CONFIG_FILE": os.devnull},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command[:4]} failed:\n{result.stdout}"
    return result.stdout


def settings(package: str) -> dict[str, Any]:
    """The pyproject.toml of one package."""
    return tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())


def only(folder: Path, pattern: str) -> Path:
    """The one file of a folder that matches."""
    (path,) = folder.glob(pattern)
    return path


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of every package, and the wheel that was built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    for package in NAMES:
        source = ROOT / "packages" / package
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    return folder


def wheel_path(dist: Path, package: str) -> Path:
    """The wheel of one package."""
    return only(dist, f"{package.replace('-', '_')}-*.whl")


def wheel_files(dist: Path, package: str) -> list[str]:
    """What one wheel puts beside other packages; its metadata has a folder of its own."""
    with zipfile.ZipFile(wheel_path(dist, package)) as wheel:
        return [name for name in wheel.namelist() if ".dist-info/" not in name]


def wheel_metadata(dist: Path, package: str) -> Message:
    """The METADATA of one wheel."""
    with zipfile.ZipFile(wheel_path(dist, package)) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(wheel.read(name).decode())


def install_server(dist: Path, folder: Path, python: str) -> Path:
    """Make an environment that holds the wheels of protocol and server, and nothing else, by this Python and
    its own pip; return its bin folder.
    """
    run(python, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "install", "--no-index", "--find-links", dist, "easycluster-server")
    return folder / "bin"


@pytest.fixture(scope="session")
def server_only(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheels of protocol and server, and nothing else."""
    folder = tmp_path_factory.mktemp("server-only")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--no-index", "--find-links", dist, "easycluster-server")
    return folder / "bin"


def test_one_version_everywhere(dist: Path) -> None:
    """All four wheels, the workspace, the newest entry of the changelog and the citation bear the same version."""
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    versions = {package: wheel_metadata(dist, package)["Version"] for package in NAMES}

    assert versions == dict.fromkeys(NAMES, workspace)
    assert newest is not None
    assert newest[1] == workspace
    assert citation is not None
    assert citation[1] == workspace


@pytest.mark.parametrize("package", NAMES)
def test_packages_pin_each_other_exactly(dist: Path, package: str) -> None:
    """A package that needs another of the four asks for exactly its own version."""
    metadata = wheel_metadata(dist, package)
    ours = [need for need in metadata.get_all("Requires-Dist", []) if need.startswith("easycluster")]

    assert [need for need in ours if not need.endswith(f"=={metadata['Version']}")] == []


@pytest.mark.parametrize(
    ("package", "needs"),
    [
        ("easycluster-bootstrap", set[str]()),
        (
            "easycluster-client",
            {
                "cloudpickle",
                "easycluster-bootstrap",
                "easycluster-protocol",
                "easycluster-server",
                "typing-extensions",
            },
        ),
        ("easycluster-protocol", set[str]()),
        ("easycluster-server", {"easycluster-protocol"}),
    ],
)
def test_needs(dist: Path, package: str, needs: set[str]) -> None:
    """Only the client needs packages of others; extras aside, each needs what its imports say."""
    found = wheel_metadata(dist, package).get_all("Requires-Dist", [])
    names = {re.split(r"[^\w-]", need)[0] for need in found if "extra ==" not in need}

    assert names == needs


def test_wheels_share_no_file(dist: Path) -> None:
    """No file is in two wheels, so that removing one package never harms another."""
    counts = Counter(name for package in NAMES for name in wheel_files(dist, package))

    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("package", NAMES)
def test_wheel_holds_its_import_packages_only(dist: Path, package: str) -> None:
    """A wheel brings its own import packages, typed, and beside them only files for people and their shells."""
    files = wheel_files(dist, package)
    shared = [name for name in files if ".data/data/share/" in name]

    assert sorted({name.split("/")[0] for name in files if name not in shared}) == IMPORT_PACKAGES[package]
    assert bool(shared) == (package == "easycluster-server")
    for name in IMPORT_PACKAGES[package]:
        assert {f"{name}/__init__.py", f"{name}/py.typed"} <= set(files)


@pytest.mark.parametrize("package", NAMES)
def test_wheel_is_complete(dist: Path, package: str) -> None:
    """Every module of the source tree is in the wheel, which was built from the sdist."""
    source = ROOT / "packages" / package / "src"
    modules = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}

    assert modules - set(wheel_files(dist, package)) == set()


@pytest.mark.parametrize("package", NAMES)
def test_licence_travels(dist: Path, package: str) -> None:
    """The licence of the project is in every wheel and sdist, word for word."""
    licence = (ROOT / "LICENSE").read_bytes()
    with zipfile.ZipFile(wheel_path(dist, package)) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))

        assert wheel.read(name) == licence
    with tarfile.open(only(dist, f"{package.replace('-', '_')}-*.tar.gz")) as sdist:
        (name,) = (name for name in sdist.getnames() if name.count("/") == 1 and name.endswith("/LICENSE"))
        member = sdist.extractfile(name)

        assert member is not None
        assert member.read() == licence


@pytest.mark.parametrize("package", NAMES)
def test_oldest_python(package: str) -> None:
    """The master's package asks for Python 3.10, all that a server installs for 3.8."""
    oldest = ">=3.10" if package == "easycluster-client" else ">=3.8"

    assert settings(package)["project"]["requires-python"] == oldest


def test_server_only_command(server_only: Path, tmp_path: Path) -> None:
    """The command `easycluster` explains itself where only protocol and server are installed."""
    assert "usage: easycluster" in run(server_only / "easycluster", "--help", cwd=tmp_path)


def test_server_only_module(server_only: Path, tmp_path: Path) -> None:
    """`python -m easycluster` does what the command does."""
    command = run(server_only / "easycluster", "--help", cwd=tmp_path)
    module = run(server_only / "python", "-m", "easycluster", "--help", cwd=tmp_path)

    assert module.replace("python -m easycluster", "easycluster") == command


def test_server_only_facade(server_only: Path, tmp_path: Path) -> None:
    """`import easycluster` gives the version where only protocol and server are installed."""
    printed = run(
        server_only / "python", "-c", "import easycluster; print(easycluster.VERSION)", cwd=tmp_path
    )

    assert printed.strip() == settings("easycluster-protocol")["project"]["version"]


@pytest.mark.integration
@pytest.mark.needs_pythons("python3.8")
def test_server_of_the_oldest_python(dist: Path, tmp_path: Path) -> None:
    """Python 3.8's own pip installs the wheels, the server runs, and a master of this Python works with it."""
    folder = install_server(dist, tmp_path / "old", find_pythons()["3.8"])
    command, key_file = str(folder / "easycluster"), tmp_path / "secret.key"
    run(command, "-g", key_file, cwd=tmp_path)
    server = Server(tmp_path, "-k", key_file, command=(command,))
    try:
        with Client(read_key_file(key_file), "127.0.0.1", server.port) as client:
            version = client.eval("__import__('sys').version_info[:2]")
            files = client.eval("__import__('easycluster_server').__file__")
            doubled = client.eval("lambda value: value * 2", nonblocking=True).exception()
            echoed = client.call("bytearray.upper", bytearray(b"a" * (2 << 20)))
    finally:
        status = server.stop()

    assert version == (3, 8)
    assert Path(files).is_relative_to(folder.parent)
    assert isinstance(doubled, DeserializationError)
    assert echoed == b"A" * (2 << 20)
    assert status == 0
