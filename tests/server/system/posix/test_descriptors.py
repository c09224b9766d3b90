"""The limit on open descriptors: when it is raised, and who gets the old one."""

from __future__ import annotations

import errno
import subprocess
import sys
from typing import Any

import pytest

from easycluster_server._system.posix import descriptors
from easycluster_server._system.posix.descriptors import is_out_of_descriptors

#: Defines ``limit()``, the soft limit of this process, in one whose limits are 64 and 256.
START = """
import os, resource, subprocess
from easycluster_server._system.posix import descriptors
from easycluster_server._system.posix.descriptors import make_room, with_old_limit, limiting_script

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
def limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
def of_command():
    return int(subprocess.check_output(with_old_limit(["/bin/sh", "-c", "ulimit -S -n"])))
"""


def run(script: str) -> str:
    """Run a script in a process of its own; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", START + script], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    return result.stdout


def test_limit_is_raised_when_it_is_needed() -> None:
    """While most descriptors are free nothing happens; when half are taken, or will be, the hard limit counts."""
    assert run("make_room(); print(limit(), of_command(), [limiting_script()])") == "64 64 ['']\n"
    assert run("make_room(20); print(limit())") == "256\n"
    assert run("files = [open(os.devnull) for _ in range(40)]; make_room(); print(limit())") == "256\n"


def test_no_descriptor_is_left() -> None:
    """A process that has none left at all gets more, too."""
    assert (
        run("""
files = []
try:
    while True: files.append(open(os.devnull))
except OSError: pass
make_room()
print(limit())
""")
        == "256\n"
    )


def test_children_get_the_old_limit() -> None:
    """Commands of ours and forked processes have the old limit; a forked process may raise its own."""
    assert (
        run("""
make_room(20)
print(limit(), of_command(), flush=True)
if os.fork() == 0:
    print(limit(), limiting_script() == "", flush=True)
    make_room(20)
    print(limit(), flush=True)
    os._exit(0)
os.wait()
print(limit())
""")
        == "256 64\n64 True\n256\n256\n"
    )


def test_limit_that_is_the_highest() -> None:
    """Where the soft limit is the hard one it stays; nothing is to be restored."""
    assert (
        run("""
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
make_room(1000)
print(limit(), [limiting_script()])
""")
        == "64 ['']\n"
    )


@pytest.mark.parametrize(
    ("hard", "highest", "raised"),
    [(-1, 20000, 10240), (-1, 1 << 30, 1 << 20), (100_000, 70_000, 1 << 16), (5000, 1 << 30, 5000)],
)
def test_system_that_allows_less(
    monkeypatch: pytest.MonkeyPatch, hard: int, highest: int, raised: int
) -> None:
    """Where there is no hard limit, or the system does not keep its word, the highest is taken that it allows."""
    import resource

    taken: list[tuple[int, int]] = []

    def set_limit(_: int, limits: tuple[int, int]) -> None:
        if limits[0] > highest:
            raise ValueError("not allowed to raise maximum limit")
        taken.append(limits)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    monkeypatch.setattr(descriptors, "_old_limit", None)
    descriptors.make_room(1 << 29)

    assert taken == [(raised, hard)]
    assert descriptors.limiting_script() == "ulimit -S -n 256; "


def chained(*errors: BaseException) -> BaseException:
    """Return the first error; each has the next one as its cause."""
    for error, cause in zip(errors, errors[1:], strict=False):
        error.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (OSError(errno.EMFILE, "Too many open files"), True),
        (chained(ValueError(), OSError(), OSError(errno.EMFILE, "Too many open files")), True),
        (OSError(errno.ENOENT, "no"), False),
        (ValueError(), False),
    ],
    ids=["itself", "cause", "other", "no OSError"],
)
def test_error_for_too_many_descriptors(error: Any, found: bool) -> None:
    """It is found behind other errors."""
    assert is_out_of_descriptors(error) is found
