from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from bootstrap.conftest import Host
from easycluster_bootstrap import bundle, remote_command
from easycluster_bootstrap._framing import HEADER_LENGTH, LENGTH_AT, frame

ECHO = """
import os
def main(config):
    data = b""
    while True:
        chunk = os.read(0, 100)
        if not chunk:
            break
        data += chunk
    os.write(1, config + data)
"""

MARKER = b"the-marker"
BUNDLE = bundle({"easycluster_try": (ECHO, False)}, "easycluster_try:main", MARKER, b"<cfg>")


def frame_ends() -> list[int]:
    """Returns where in BUNDLE each frame ends."""
    ends: list[int] = []
    position = 0
    while position < len(BUNDLE):
        position += HEADER_LENGTH + int(BUNDLE[position + LENGTH_AT : position + HEADER_LENGTH])
        ends.append(position)
    return ends


MODULES_END, END = frame_ends()
STAGE = zlib.decompress(BUNDLE[HEADER_LENGTH:MODULES_END]).partition(b"\0")[0]

CUTS = {
    "nothing": 0,
    "one byte": 1,
    "in the first header": HEADER_LENGTH - 1,
    "after the first header": HEADER_LENGTH,
    "in the modules": MODULES_END // 2,
    "before the modules' last byte": MODULES_END - 1,
    "after the modules": MODULES_END,
    "in the second header": MODULES_END + 5,
    "before the last byte": END - 1,
}


def assert_one_line(result: subprocess.CompletedProcess[bytes]) -> str:
    """Checks that a start failed as it must, and returns its one line."""
    errors = result.stderr.decode()

    assert result.returncode == 1, errors
    assert MARKER not in result.stdout
    assert errors.startswith("EasyCluster could not start: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    return errors


def test_entry_gets_config_and_what_follows(host: Host, python: str) -> None:
    """The config is handed over whole, and the bytes that follow the bundle on stdin are left for the entry."""
    config = bytes(range(256)) * 1000

    outcome = host.start(python, ECHO, config=config, then=b"\0rest\n" * 50000, banner="echo welcome; ")

    assert (outcome.status, outcome.errors, outcome.banner) == (0, "", b"welcome\n")
    assert outcome.output == config + b"\0rest\n" * 50000


@pytest.mark.parametrize("options", ["-I", "-S", "-OO", "-bb -W error", "-E -s -B"])
def test_starts_with_options_of_python(host: Host, options: str) -> None:
    """Options that the user gives to Python change nothing about the start."""
    outcome = host.start(f"{sys.executable} {options}", ECHO, config=b"<cfg>", then=b"<rest>")

    assert (outcome.status, outcome.output, outcome.errors) == (0, b"<cfg><rest>", "")


def test_starts_byte_by_byte(host: Host, python: str) -> None:
    """However the bytes are cut on the way, the bundle is read whole and no further."""
    command = ["sh", "-c", remote_command(python)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=host.home) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for position in range(len(BUNDLE)):
            process.stdin.write(BUNDLE[position : position + 1])
            process.stdin.flush()
        marker = process.stdout.readline()
        process.stdin.write(b"<rest>")
        process.stdin.close()
        output = process.stdout.read()

    assert marker == MARKER + b"\n"
    assert output == b"<cfg><rest>"


@pytest.mark.parametrize("position", CUTS.values(), ids=CUTS)
def test_cut_bundle_is_one_line(host: Host, python: str, position: int) -> None:
    """Wherever stdin ends within the bundle, the process ends with status 1 and one line, no traceback."""
    assert_one_line(host.shell(remote_command(python), BUNDLE[:position]))


GARBAGE = {
    "text": b"Last login: Sun Nov 22 from 192.0.2.1\nThis is not what you are waiting for, and it goes on.\n",
    "zeros": bytes(10000),
    "negative length": b"EasyCluster1 -0000001\n" + bytes(100),
    "shifted by a byte": BUNDLE[1:],
    "no Python in the stage": frame(zlib.compress(b")\0")) + BUNDLE[MODULES_END:],
    "no Python in the importer": frame(zlib.compress(STAGE + b"\0)\f")) + BUNDLE[MODULES_END:],
    "no importer": frame(zlib.compress(STAGE)) + BUNDLE[MODULES_END:],
    "bytes lost after the modules": BUNDLE[:MODULES_END] + BUNDLE[MODULES_END + 10 :],
    "modules damaged": BUNDLE[: MODULES_END - 50] + bytes(40) + BUNDLE[MODULES_END - 10 :],
    "config damaged": BUNDLE[:-2] + b"\0\0",
}


@pytest.mark.parametrize("stdin", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_one_line(host: Host, python: str, stdin: bytes) -> None:
    """Bytes that are not our bundle end the process with status 1 and one line, no traceback."""
    assert_one_line(host.shell(remote_command(python), stdin))


def test_closed_stdin_is_one_line(host: Host) -> None:
    """Without a stdin to read from the process ends with status 1 and one line, no traceback."""
    assert_one_line(host.shell(f"{remote_command(sys.executable)} <&-"))


def test_python_without_zlib_is_named(host: Host, tmp_path: Path) -> None:
    """A Python that was built without zlib ends with status 1 and one line that says so."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['zlib'] = None\n")
    host.env["PYTHONPATH"] = str(tmp_path)

    assert "zlib" in assert_one_line(host.shell(remote_command(sys.executable), BUNDLE))


HOSTILE = "raise SystemExit('a file of the current folder was imported')\n"


@pytest.mark.parametrize(
    ("names", "python_path"),
    [
        ("abc importlib io linecache os re socket struct sys token traceback types typing zlib", None),
        ("socket struct traceback typing zlib", ":"),
    ],
    ids=["current folder", "PYTHONPATH"],
)
def test_files_named_as_standard_modules_do_no_harm(
    host: Host, python: str, names: str, python_path: str | None
) -> None:
    """Files of the current folder that are named as standard modules are not imported before restore_path."""
    needed = ""
    if python_path is not None:  # as PYTHONPATH=$PYTHONPATH:/some/where leaves it
        # Python's own start searches the current folder then, which cannot be helped.
        needed = host.shell(f"{python} -c 'import sys; print(*sys.modules)'").stdout.decode()
        host.env["PYTHONPATH"] = python_path
    for name in set(names.split()) - set(needed.split()):
        host.write(f"{name}.py", HOSTILE)
    host.write("mine.py", "print('mine')\n")

    outcome = host.start(
        python,
        """
import os, sys, linecache, socket, struct, subprocess, traceback, typing
def main(config):
    try:
        import mine
    except ImportError:
        print("hidden", flush=True)
    sys.modules["easycluster_bootstrap"].restore_path()
    import mine
""",
    )

    assert (outcome.status, outcome.output, outcome.errors) == (0, b"hidden\nmine\n", "")


@pytest.mark.parametrize("safe_path", [None, "1"], ids=["", "safe"])
@pytest.mark.parametrize("python_path", [None, ":/nowhere", "/nowhere:", "lib:."])
def test_path_is_restored_to_what_python_gives(
    host: Host, python: str, python_path: str | None, safe_path: str | None
) -> None:
    """After restore_path a script sees exactly the sys.path of ``ssh host python3``, and can change it."""
    if safe_path is not None:
        host.env["PYTHONSAFEPATH"] = safe_path
    if python_path is not None:
        host.env["PYTHONPATH"] = python_path
    expected = host.shell(f"{python} -c 'import sys; print(sys.path)'").stdout

    outcome = host.start(
        python,
        """
import sys
def main(config):
    assert "" not in sys.path
    restore_path = sys.modules["easycluster_bootstrap"].restore_path
    restore_path()
    print(sys.path)
    sys.path.append("/mine")
    restore_path()
    assert sys.path[-1] == "/mine"
""",
    )

    assert (outcome.status, outcome.output, outcome.errors) == (0, expected, "")


def test_environment_is_as_it_was(host: Host, python: str) -> None:
    """A script has, and hands on to the processes that it starts, the environment of ``ssh host python3``."""
    show = "import os; print(sorted(name for name in os.environ if name not in ('PWD', '_')))"
    expected = host.shell(f'{python} -c "{show}"').stdout

    outcome = host.start(
        python,
        """
import subprocess, sys
def main(config):
    subprocess.check_call([sys.executable, "-c", config.decode()])
""",
        config=show.encode(),
    )

    assert (outcome.status, outcome.output, outcome.errors) == (0, expected, "")


def test_missing_current_folder_does_no_harm(host: Host, python: str) -> None:
    """A current folder that was removed does not keep the bootstrap from starting."""
    # `env`, as sh would complain about the folder by itself.
    outcome = host.start(f"env {python}", ECHO, then=b"<rest>", banner='mkdir gone; cd gone; rmdir "$PWD"; ')

    assert (outcome.status, outcome.output, outcome.errors) == (0, b"<rest>", "")


def test_writes_no_bytecode_until_restored(host: Host, python: str, tmp_path: Path) -> None:
    """The bootstrap's imports write nothing to the host's disk; imports after restore_path do as usual."""
    host.env["PYTHONPATH"] = str(tmp_path / "lib")
    (tmp_path / "lib").mkdir()
    for name in ("before", "after"):
        (tmp_path / "lib" / f"{name}.py").write_text("")

    outcome = host.start(
        python,
        """
import before, sys
def main(config):
    sys.modules["easycluster_bootstrap"].restore_path()
    import after
""",
    )

    assert (outcome.status, outcome.errors) == (0, "")
    assert [path.name.partition(".")[0] for path in tmp_path.glob("lib/__pycache__/*")] == ["after"]
    assert not list(host.home.iterdir())
