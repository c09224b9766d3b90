"""Windows Pythons under wine, with this checkout's packages: they stand for hosts and masters that have Windows.

Wine is not Windows: it has no real console, access control lists or service manager. Its programs can use only pipes
as their standard streams. `scripts/wine_pythons` makes the Pythons, and keeps them for the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from helpers.children import start
from helpers.leaks import MARK

ROOT = Path(__file__).parents[2]

#: The oldest that a server runs on, and those that a master runs on too.
OLDEST = "3.8"
NEWEST = "3.13"
#: The one with which everything is tried.
USUAL = "3.12"

#: The longest that something which is done once for a run may take, in seconds.
_LONG = 300

#: Ends when its input does. Its window brings up what wine starts for the first one.
_KEEPER = "import ctypes, sys; ctypes.windll.user32.GetDesktopWindow(); print('ready', flush=True); sys.stdin.read()"


@functools.cache
def prefix() -> Path:
    """The folder of wine's C: and settings; made first where it is missing."""
    script = ROOT / "scripts" / "wine_pythons"
    result = subprocess.run(
        [sys.executable, script], check=True, stdout=subprocess.PIPE, text=True, timeout=_LONG
    )
    return Path(result.stdout.strip())


@functools.cache
def _loader() -> str:
    found = "/usr/lib/wine/wine64"
    return found if os.access(found, os.X_OK) else shutil.which("wine64") or found


def environment(**variables: str) -> dict[str, str]:
    """The variables for wine, beside those of this process and ``variables``."""
    # What pip and Python are told here does not hold in Windows.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    wine = {
        "WINEPREFIX": str(prefix()),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "DISPLAY": "",
    }
    return {**own, **wine, **variables}


def windows_path(path: Path) -> str:
    """A path of this system as Windows programs name it: drive Z: is the root folder."""
    drive_c = prefix() / "drive_c"
    drive, inside = ("C:", path.relative_to(drive_c)) if path.is_relative_to(drive_c) else ("Z:", path)
    return drive + "\\" + str(inside).lstrip("/").replace("/", "\\")


@contextlib.contextmanager
def kept_alive() -> Iterator[None]:
    """Keep one Windows program running, so that others start in 0.1 s instead of 3; what wine itself starts for the
    first of them belongs to no test."""
    _folder_of_checkout()  # its lock stays open, which would count against the first test that needs it
    variables = {name: value for name, value in environment().items() if name != MARK}
    command = [_loader(), WindowsPython(USUAL).bare, "-c", _KEEPER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with start(command, env=variables, **pipes) as keeper:
        assert keeper.stdout
        assert keeper.stdout.readline().strip() == b"ready"
        yield


class WindowsPython:
    """A Python of Windows.

    Args:
        version: its minor version: "3.8", "3.12" or "3.13".

    Attributes:
        bare: the Windows path of the interpreter without this project's packages.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self._original = prefix() / "drive_c" / f"py{version.replace('.', '')}"
        self.bare = windows_path(self._original / "python.exe")

    @functools.cached_property
    def folder(self) -> Path:
        """Its folder, in which pip has installed the wheels of this checkout; made at the first use.

        It has a space in its name. Other checkouts, and this one before a change, have folders of their own.
        """
        top = _folder_of_checkout()
        folder, done = top / self._original.name, top / f"{self._original.name}.done"
        with _locked(top / "lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(self._original, folder, copy_function=os.link)
                self._install(folder, top / "wheels")
                done.touch()
        return folder

    def python(self, *arguments: object) -> list[str]:
        """The command that runs this Python."""
        return [_loader(), windows_path(self.folder / "python.exe"), *map(str, arguments)]

    def easycluster(self, *arguments: object) -> list[str]:
        """The command that runs its ``easycluster.exe``."""
        return [_loader(), windows_path(self.folder / "Scripts" / "easycluster.exe"), *map(str, arguments)]

    def _install(self, folder: Path, wheels: Path) -> None:
        if not wheels.exists():
            _build_wheels(wheels)
        packages = (
            ["easycluster-server"] if self.version == OLDEST else ["easycluster-server", "easycluster-client"]
        )
        options = ["--no-index", "--no-warn-script-location", "--find-links", windows_path(wheels)]
        run([_loader(), windows_path(folder / "python.exe"), "-m", "pip", "install", *options, *packages])


@functools.cache
def _folder_of_checkout() -> Path:
    """The folder of the Pythons that have the packages as they are now; it stays while this process runs."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "packages").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(b"%s\0%s\0" % (str(path.relative_to(ROOT)).encode(), path.read_bytes()))
    top = prefix() / "drive_c" / "easycluster tests"
    folder = top / digest.hexdigest()[:12]
    with _locked(_made(top) / "lock"):
        _in_use.append(_open_lock(_made(folder) / "in use", fcntl.LOCK_SH))
        for other in top.iterdir():
            if other.is_dir() and other != folder:
                with (
                    contextlib.suppress(BlockingIOError),
                    _locked(other / "in use", fcntl.LOCK_EX | fcntl.LOCK_NB),
                ):
                    shutil.rmtree(other)
    return folder


_in_use: list[int] = []


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _open_lock(path: Path, how: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    descriptor = _open_lock(path, how)
    try:
        yield
    finally:
        os.close(descriptor)


def _build_wheels(folder: Path) -> None:
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    for package in (ROOT / "packages").iterdir():
        build = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(new),
            str(package),
        ]
        subprocess.run(build, check=True, capture_output=True, timeout=_LONG)
    new.rename(folder)


def run(command: list[str], *, data: str = "", cwd: Path | None = None, **variables: str) -> str:
    """Run a Windows command to its end; return what it printed. It has to succeed.

    Args:
        command: of a `WindowsPython`.
        data: what it can read from its standard input.
        cwd: its working folder.
        variables: that it gets beside those of this process.
    """
    result = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**variables),
        input=data.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_LONG,
        check=False,
    )
    output = result.stdout.decode(errors="replace").replace("\r\n", "\n")
    assert result.returncode == 0, f"{command[1:]} failed:\n{output}"
    return output
