"""The package `easycluster` offers what scripts rely on, and imports it when it is used."""

from __future__ import annotations

import ast
import builtins
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import easycluster
import easycluster_client

#: The module as it is at run time; type checkers see its stub alone.
facade: Any = easycluster

STUB = Path(easycluster.__file__ or "").with_suffix(".pyi")

#: What the published package gives by ``from easycluster import *``, and the six errors that a script must be able to
#: catch. The list is complete for good.
STARRED = {
    "AutoThreadingClient",
    "CallTimeout",
    "Client",
    "ClientGroup",
    "ConnectError",
    "Connection",
    "ConnectionLost",
    "DefaultRemoteProxy",
    "DeserializationError",
    "EasyClusterError",
    "RemoteException",
    "RemoteProxy",
    "SelfIterProxy",
    "SerializationError",
    "ServerObject",
    "ThreadedClient",
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
    "make_server_class",
    "make_singleton",
    "parse_connection_spec",
    "read_key_file",
    "write_key_file",
}

#: What a script that imports all gets no name for: what it uses itself may bear that name.
BY_NAME = {
    "NonblockingResponse",
    "as_completed",
    "get_global",
    "options",
    "set_global",
    "wait",
}


def test_star() -> None:
    """A star import gives exactly the published names, none of which hides a builtin."""
    names: dict[str, object] = {}
    exec("from easycluster import *", names)

    assert set(names) - {"__builtins__"} == set(easycluster.__all__) == STARRED
    assert not STARRED & set(dir(builtins))


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


def test_finders_of_old_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finders without ``find_spec``, as six and setuptools once installed them, are passed over."""
    monkeypatch.setattr(sys, "meta_path", [object(), *sys.meta_path])

    assert facade._is_installed("easycluster_client")
    assert not facade._is_installed("easycluster_no_such_package")


def test_the_stub_names_what_the_facade_imports() -> None:
    """The stub gives type checkers each name of the facade, from the module that the facade takes it from."""
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    imported = {
        alias.asname: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (starred,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))

    assert imported == {**facade._HOMES, **dict.fromkeys(facade._SUBMODULES)}
    assert set(starred) == set(easycluster.__all__)


def test_help_shows_every_name() -> None:
    """``help(easycluster)`` shows each public name."""
    shown = pydoc.plain(pydoc.render_doc(easycluster))
    names = {*facade.__all__, *facade._HOMES, *facade._SUBMODULES}

    assert {name for name in names if not re.search(rf"\b{name}\b", shown)} == set()
