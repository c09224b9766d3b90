"""Nothing is written on a host: its file system before and after, behind a real sshd."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from easycluster import define_common
from helpers.client_states import break_connection
from helpers.exercises import DEFINITIONS, assert_works
from helpers.logins import Host, make_host, serve_logins
from helpers.pythons import every_python, find_pythons
from helpers.sshd import Sshd

pytestmark = pytest.mark.needs_sshd

sshd_of_logins = pytest.fixture(scope="module")(serve_logins)

#: Runs a command in a copy of the whole file system, of which what is written goes to a folder of its own; then
#: lists that folder. All of it is in a mount namespace that ends with the command.
COPY = """\
set -e
mount -t tmpfs tmpfs {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work overlay {place}/root
for folder in proc sys dev; do mount --rbind /$folder {place}/root/$folder; done
mount -t tmpfs tmpfs {place}/root/dev/shm
status=0
chroot {place}/root "$@" || status=$?
find {place}/upper {place}/root/dev/shm -mindepth 1 ! -type d > {written}
exit $status
"""

#: Runs a command where nothing can be written.
READ_ONLY = """\
set -e
mount --bind / {place}
mount -o remount,bind,ro {place}
for folder in proc sys dev; do mount --rbind /$folder {place}/$folder; done
mount -t tmpfs -o ro tmpfs {place}/dev/shm
exec chroot {place} "$@"
"""

REMOTE = (
    DEFINITIONS
    + """
def write_module(folder):
    "Write a module, and import it."
    import os
    os.mkdir(folder)
    with open(folder + "/users_module.py", "w") as file:
        file.write("VALUE = 7")
    sys.path.insert(0, folder)
    import users_module
    return users_module.VALUE
"""
)


@pytest.fixture
def host(sshd_of_logins: Sshd, tmp_path: Path, no_leaks: None) -> Host:
    """A host; clients have the functions of `exercises`."""
    define_common(REMOTE)
    return make_host(sshd_of_logins, tmp_path, no_leaks)


def run_in(host: Host, script: str, folder: Path) -> Path:
    """Let the login run in a script; returns the file for what it writes."""
    (folder / "place").mkdir()
    values = {"place": shlex.quote(str(folder / "place")), "written": shlex.quote(str(folder / "written"))}
    path = folder / "script"
    path.write_text(script.format(**values))
    host.prefix = f"unshare --mount sh {shlex.quote(str(path))}"
    # Where the tests lie may be another file system, which that copy has not.
    host.home = Path("/")
    host.env["PATH"] = os.defpath
    host.python = os.path.realpath(sys.executable)
    return folder / "written"


def names(written: Path) -> list[str]:
    """The files that were written."""
    return sorted(line.partition("/upper")[2] or line for line in written.read_text().splitlines())


@pytest.mark.needs_mounts
@pytest.mark.parametrize("lost", [False, True], ids=["closed", "lost"])
def test_nothing_is_written(host: Host, tmp_path: Path, lost: bool) -> None:
    """After a session in which all kinds of calls were made, the host's file system is as it was before."""
    with host.connect(rpython=os.path.realpath(sys.executable)) as client:
        assert_works(client)  # once outside, so that Python's own modules have their bytecode
    written = run_in(host, COPY, tmp_path)
    with host.connect() as client:
        assert_works(client)
        client.call("print", "printed")
        if lost:
            break_connection(client)

    assert names(written) == []


@pytest.mark.needs_mounts
def test_only_remote_code_writes(host: Host, tmp_path: Path) -> None:
    """What remote code writes is all that is written, with the bytecode of what it imports, as in any Python."""
    written = run_in(host, COPY, tmp_path)
    with host.connect() as client:
        assert client.write_module("/var/tmp/easycluster-users") == 7
        tag = client.sys.implementation.cache_tag.value

    assert names(written) == [
        f"/var/tmp/easycluster-users/__pycache__/users_module.{tag}.pyc",
        "/var/tmp/easycluster-users/users_module.py",
    ]
    assert not os.path.exists("/var/tmp/easycluster-users")


@pytest.mark.needs_mounts
def test_nothing_need_be_written(host: Host, tmp_path: Path) -> None:
    """On a host whose file systems are all read-only, everything works."""
    run_in(host, READ_ONLY, tmp_path)
    with host.connect() as client:
        with pytest.raises(OSError, match="Read-only"):
            client.write_module("/var/tmp/easycluster-users")
        assert_works(client)


def bytecode(folder: Path) -> set[str]:
    """The files below a folder."""
    return {path.name for path in folder.rglob("*.pyc")}


@every_python(since="3.8")  # older ones cannot be told where to write it
def test_no_bytecode_is_written(host: Host, version: str) -> None:
    """For no module that we import, of the standard library either, is bytecode written that was not there."""
    assert host.home is not None
    cache = host.home / "cache"
    host.env["PYTHONPYCACHEPREFIX"] = str(cache)
    host.python = find_pythons()[version]
    result = host.run(f"{shlex.quote(host.python)} -c pass")
    assert result.returncode == 0, result.stderr
    before = bytecode(cache)
    with host.connect() as client:
        assert_works(client)

    assert bytecode(cache) - before == set()
