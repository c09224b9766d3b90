"""Which modules import which: there are no circles, and an underscore ends at its module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

import easycluster

PACKAGES = Path(__file__).parents[1] / "packages"
NAMES = (
    "easycluster",
    "easycluster_bootstrap",
    "easycluster_client",
    "easycluster_protocol",
    "easycluster_server",
)

#: Module → modules that it imports by name, when it uses them, with the reason why no import statement does.
BY_NAME = {
    "easycluster.__main__": {
        "easycluster_server._command_line": "the server may not be installed, and a message says so",
    },
    "easycluster_protocol._definitions.modules": {
        "easycluster": "definitions may use the facade's names, and a host imports few of them, late",
    },
    "easycluster_server._processes.ahead": {
        "easycluster": "what forks will use is imported before they are made",
        "easycluster_server._io.tls_handshake": "the same",
    },
    "easycluster_server._spawn": {
        "easycluster_client": "spawn_local() makes a client; the server works without that package",
    },
}

#: What is in the one circle that stays: definitions modules hand out the facade's names, the facade names the
#: client's, and `spawn_local` makes a client. All by name, when used, for a host must not import them before.
FACADE = {
    "easycluster",
    "easycluster.server",
    "easycluster_client",
    "easycluster_protocol._definitions.modules",
    "easycluster_server._spawn",
}


@pytest.fixture
def graph() -> grimp.ImportGraph:
    """The graph of all import statements, also of those for types and those inside functions."""
    return grimp.build_graph(*NAMES, cache_dir=None)


def circles(graph: grimp.ImportGraph) -> list[set[str]]:
    """The modules of each circle."""
    found = {
        frozenset({module} | graph.find_upstream_modules(module) & graph.find_downstream_modules(module))
        for module in graph.modules
    }
    return [set(each) for each in found if len(each) > 1]


def sources() -> Iterator[tuple[str, ast.Module]]:
    """The name and the syntax tree of each of our modules."""
    for folder in PACKAGES.glob("*/src"):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported_by_name(tree: ast.Module) -> set[str]:
    """The modules of ours that calls of ``import_module`` and ``__import__`` name."""
    return {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {"import_module", "__import__"}
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
        and call.args[0].value.partition(".")[0] in NAMES
    }


def test_no_circles(graph: grimp.ImportGraph) -> None:
    """No import statements of ours form a circle, not even with those for types and those inside functions."""
    assert circles(graph) == []


def test_imports_by_name() -> None:
    """A module of ours is imported by name only where there is a reason."""
    found = {name: imported_by_name(tree) for name, tree in sources()}

    assert {name: modules for name, modules in found.items() if modules} == {
        name: set(reasons) for name, reasons in BY_NAME.items()
    }


def test_the_one_circle(graph: grimp.ImportGraph) -> None:
    """With what is imported by name there is one circle, that of the facade."""
    homes = set(vars(easycluster)["_HOMES"].values())
    by_name = {**BY_NAME, "easycluster": [*homes, "easycluster.server", "easycluster.remote_code"]}
    for importer, modules in by_name.items():
        for imported in modules:
            graph.add_import(importer=importer, imported=imported)

    (circle,) = circles(graph)

    assert circle >= FACADE


def test_no_private_name_is_imported(graph: grimp.ImportGraph) -> None:
    """What a module calls private is imported from no other module."""
    imported = {
        (name, f"{node.module}.{alias.name}")
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").partition(".")[0] in NAMES)
        for alias in node.names
        if alias.name.startswith("_") and f"{node.module}.{alias.name}" not in graph.modules
    }

    assert imported == set()
