"""Bare hosts: interpreters of this machine that know nothing of us, reached through a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import easycluster_bootstrap
from easycluster_bootstrap import _minify

OLDEST = (3, 6)


def find_pythons() -> dict[str, str]:
    """Returns version -> path of the running interpreter and of all that pyenv has installed."""
    running = ".".join(map(str, sys.version_info[:3]))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = {
        folder.name: str(folder / "bin" / "python")
        for folder in pyenv.glob("versions/*")
        if re.fullmatch(r"\d+\.\d+\.\d+", folder.name)
    }
    return dict(sorted({**found, running: sys.executable}.items(), key=lambda item: version(item[0])))


def version(name: str) -> tuple[int, ...]:
    """Returns the version as numbers."""
    return tuple(map(int, name.split(".")))


PYTHONS = find_pythons()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test once for each interpreter found; `python` is new enough, `old_python` is not."""
    for argument, wanted in (("python", True), ("old_python", False)):
        if argument in metafunc.fixturenames:
            names = [name for name in PYTHONS if (version(name) >= OLDEST) == wanted]
            paths: list[str | None] = [PYTHONS[name] for name in names]
            # Without an old interpreter the running one pretends, so that something is tested anyway.
            if argument == "old_python":
                names, paths = [*names, "pretended"], [*paths, None]
            metafunc.parametrize(argument, paths, ids=names)


def minify_only(source: str) -> str:
    """Returns the minified source, with all variables under their own names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_minify, "find_renames", lambda tree: {})
        return _minify.minify(source)


@dataclass
class Outcome:
    """The outcome of a run on a host.

    Attributes:
        status: the exit status.
        banner: the part of stdout before the marker, or all of it if there was none.
        output: the part of stdout behind the marker, None if there was none.
        errors: stderr as text.
    """

    status: int
    banner: bytes
    output: bytes | None
    errors: str


@dataclass
class Host:
    """A host with a home folder, which is the current one, and an environment of its own."""

    home: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    def write(self, name: str, text: str) -> None:
        """Makes a file in the home folder, and the folders above it."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def shell(
        self, command: str, stdin: bytes = b"", shell: str = "sh"
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a command; returns only when no process holds its stdout or stderr any more."""
        env = {"PATH": os.defpath, "HOME": str(self.home), **self.env}
        return subprocess.run(
            [shell, "-c", command], input=stdin, capture_output=True, cwd=self.home, env=env, check=False
        )

    def start(
        self,
        python: str | None,
        sources: str | dict[str, str],
        *,
        config: bytes = b"",
        then: bytes = b"",
        banner: str = "",
        shell: str = "sh",
    ) -> Outcome:
        """Runs a bundle's ``easycluster_try.main(config)``; `then` follows the bundle on stdin."""
        if isinstance(sources, str):
            sources = {"easycluster_try": sources}
        packages = {name.rpartition(".")[0] for name in sources}
        marker = easycluster_bootstrap.new_marker()
        stdin = easycluster_bootstrap.bundle(
            {name: (text, name in packages) for name, text in sources.items()},
            "easycluster_try:main",
            marker,
            config,
        )
        command = easycluster_bootstrap.remote_command(python)
        result = self.shell(banner + command, stdin + then, shell)
        head, found, tail = result.stdout.partition(marker + b"\n")
        return Outcome(result.returncode, head, tail if found else None, result.stderr.decode())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose home folder is empty at first."""
    home = tmp_path / "home"
    home.mkdir()
    return Host(home)
