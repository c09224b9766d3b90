"""The environment of a worker, made in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PRELUDE = """
import atexit, json, os, random, signal, sys, threading
from easycluster_server._processes import worker
"""


def run(code: str) -> tuple[Any, str]:
    """Run code that prints JSON; return that, and what went to standard error."""
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout), result.stderr


def test_traces_of_the_ancestor_are_removed() -> None:
    """Signal handlers, mask and wakeup descriptor, `__main__` and arguments are as in a new process."""
    code = """
reading, writing = os.pipe()
os.set_blocking(writing, False)
signal.set_wakeup_fd(writing)
for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
before = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
worker.reset_environment({})
print(json.dumps([
    signal.set_wakeup_fd(-1),
    sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    {signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1)} == {signal.SIG_DFL},
    signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    all(signal.getsignal(number) == handler for number, handler in before.items()),
    sys.argv,
    sorted(vars(sys.modules["__main__"])) == sorted(vars(type(sys)("__main__"))),
]))
"""
    found, errors = run(code)

    assert found == [-1, [], True, True, True, [""], True]
    assert errors == ""


def test_configuration_is_applied(tmp_path: Path) -> None:
    """Environment, folder, umask, module path and arguments are those of the configuration."""
    code = f"""
worker.reset_environment({{
    "environ": {{"A": "1"}}, "cwd": {str(tmp_path)!r}, "umask": 0o27, "path": ["x"], "argv": ["a", "b"]
}})
umask = os.umask(0)
print(json.dumps([dict(os.environ), os.getcwd(), umask, sys.path, sys.argv]))
"""

    assert run(code) == ([{"A": "1"}, str(tmp_path), 0o27, ["x"], ["a", "b"]], "")


def test_random_state_is_new() -> None:
    """The state of `random` is not the ancestor's."""
    code = """
random.seed(1)
worker.reset_environment({})
first = random.random()
print(json.dumps(first == random.Random(1).random()))
"""

    assert run(code) == (False, "")


def test_folder_that_has_gone(tmp_path: Path) -> None:
    """A folder that cannot be used is named, and the worker stays where it is."""
    path = str(tmp_path / "gone")
    code = f"before = os.getcwd(); worker.reset_environment({{'cwd': {path!r}}}); print(json.dumps(before == os.getcwd()))"
    found, errors = run(code)

    assert found
    assert errors.startswith(f"easycluster: the working folder '{path}' cannot be used: ")


def test_leaving() -> None:
    """At its end exit functions run, last first, also when one fails; threads are not waited for."""
    code = """
atexit.register(print, 1)
def fail():
    raise ValueError("in an exit function")
atexit.register(fail)
threading.Thread(target=threading.Event().wait).start()
worker._finish_as_script()
os._exit(0)
"""
    found, errors = run(code)

    assert found == 1
    assert errors.rstrip().endswith("ValueError: in an exit function")
