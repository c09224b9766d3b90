"""The package `easycluster` offers what scripts rely on, and imports it when it is used."""

from __future__ import annotations

import subprocess
import sys

import easycluster
import easycluster_client

#: What the published package gives by ``from easycluster import *``, and is here already.
STARRED = {
    "Client",
    "ClientGroup",
    "RemoteException",
    "add_key_options",
    "call_method_multi",
    "call_multi",
    "decode_key",
    "define_common",
    "definitions_module",
    "eval_multi",
    "exec_return",
    "execblock_multi",
    "generate_key",
    "key_from_options",
    "parse_connection_spec",
    "read_key_file",
    "write_key_file",
}

#: What is new has no place in the names of a script that imports all.
BY_NAME = {"CallTimeout", "NonblockingResponse", "as_completed", "options", "wait"}


def test_star() -> None:
    """A star import gives the published names and none of the new ones."""
    assert set(easycluster.__all__) >= STARRED
    assert not BY_NAME & set(easycluster.__all__)


def test_by_name() -> None:
    """New names are there by name, and shown by `dir`."""
    assert all(hasattr(easycluster, name) for name in BY_NAME)
    assert set(dir(easycluster)) >= BY_NAME | STARRED
    assert all(
        getattr(easycluster, name) is getattr(easycluster_client, name) for name in ("wait", "options")
    )


def test_lazy() -> None:
    """Importing the package imports neither the client nor what only a few of its users need."""
    script = (
        "import sys, easycluster\n"
        "assert 'easycluster_client' not in sys.modules\n"
        "easycluster.Client\n"
        "assert not {'asyncio', 'concurrent.futures'} & set(sys.modules)\n"
    )

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
