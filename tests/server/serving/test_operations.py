from __future__ import annotations

import collections
import json
import os.path
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol._definitions import names
from easycluster_protocol._definitions.modules import DEFAULT_NAME
from easycluster_server._serving import operations
from easycluster_server._serving.operations import Operations, ServerNames

OTHER_NAME = "easycluster_test_definitions"


@pytest.fixture
def namespace() -> Iterator[ServerNames]:
    """A namespace; the modules that a test imports through it are gone after the test."""
    before = set(sys.modules)
    yield ServerNames()
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def root(namespace: ServerNames) -> Operations:
    """The operations on it."""
    return Operations(namespace)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package with a submodule, and one that cannot be imported."""
    folder = tmp_path / "easycluster_test_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("value = 1\n")
    (folder / "sub.py").write_text("value = 2\n")
    (folder / "broken.py").write_text("import easycluster_no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder.name


# Names.


def test_definitions_come_first(namespace: ServerNames) -> None:
    """A definition hides a builtin and a module of its name, and one with dots in its name is found."""
    namespace.globals.update({"len": "own", "os": "own too", "a.b": "dotted"})

    assert [namespace.resolve(name) for name in ("len", "os", "a.b")] == ["own", "own too", "dotted"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sorted", sorted),
        ("os.path.join", os.path.join),
        ("collections.OrderedDict.fromkeys", collections.OrderedDict.fromkeys),
        ("str.join", str.join),
        ("sys", sys),
    ],
)
def test_builtins_and_modules(namespace: ServerNames, name: str, value: Any) -> None:
    """Builtins, modules and what is in them are found without an import."""
    assert namespace.resolve(name) == value


def test_attributes_of_definitions(namespace: ServerNames) -> None:
    """Attributes of what is defined are found."""
    namespace.globals["text"] = "a-b"

    assert namespace.resolve("text.split")("-") == ["a", "b"]


def test_submodules_are_imported(namespace: ServerNames, package: str) -> None:
    """A submodule that nobody imported yet is imported for its name."""
    assert namespace.resolve(f"{package}.sub.value") == 2
    assert namespace.resolve(f"{package}.value") == 1


@pytest.mark.parametrize("name", ["easycluster_no_such_name", "", ".x", "easycluster_no_such_name.x"])
def test_unknown_names(namespace: ServerNames, name: str) -> None:
    """A name that is nothing is named, with what to do."""
    with pytest.raises(NameError, match="is not defined: .*update_definitions"):
        namespace.resolve(name)


@pytest.mark.parametrize("name", ["os.no_such_name", "os.path.no_such_name", "len.no_such_name"])
def test_unknown_attributes(namespace: ServerNames, name: str) -> None:
    """An attribute that does not exist is named."""
    with pytest.raises(AttributeError, match="'no_such_name'"):
        namespace.resolve(name)


def test_modules_that_cannot_be_imported(namespace: ServerNames, package: str) -> None:
    """When a module fails in its own imports, the error names the module that is missing."""
    with pytest.raises(ModuleNotFoundError, match="easycluster_no_such_module"):
        namespace.resolve(f"{package}.broken.value")


def test_other_definitions(namespace: ServerNames, root: Operations) -> None:
    """Another definitions module can be named, in which names are looked up then."""
    root.set_value("x", 1)
    root.use_definitions(OTHER_NAME)
    root.set_value("x", 2)
    other = namespace.resolve("x")
    root.use_definitions(DEFAULT_NAME)

    assert (namespace.resolve("x"), other) == (1, 2)


# Operations.


def test_eval(root: Operations) -> None:
    """An expression sees the definitions, and no future import of ours."""
    root.set_value("x", 20)

    assert root.eval("x + 1") == 21
    assert root.eval("(lambda a: a).__code__.co_flags") & 0x1000000 == 0


def test_execblock(root: Operations) -> None:
    """Statements change the definitions; their value is what they pass to `exec_return`."""
    assert root.execblock("y = 5") is None
    assert root.execblock("from easycluster import exec_return\nexec_return(y + 1)\ny = 7") == 6
    assert root.get_value("y") == 5


@pytest.mark.parametrize("operation", ["eval", "execblock"])
def test_stack_traces_show_the_source(root: Operations, operation: str) -> None:
    """The stack trace of code that was sent as text shows its lines."""
    with pytest.raises(ZeroDivisionError) as caught:
        getattr(root, operation)("1 / 0  # wrong")

    assert "1 / 0  # wrong" in "".join(traceback.format_exception(caught.value))


def test_sources_are_not_kept_for_ever(root: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest sources are kept for stack traces."""
    import linecache

    monkeypatch.setattr(operations, "_MAX_SOURCES", 3)
    before = set(linecache.cache)
    for number in range(10):
        root.eval(str(number))
    kept = set(linecache.cache) - before
    for name in kept:
        del linecache.cache[name]

    assert len(kept) == 3


@pytest.mark.parametrize("source", ["1 +", "x = ", None, 5])
@pytest.mark.parametrize("operation", ["eval", "execblock"])
def test_source_that_is_none(root: Operations, operation: str, source: Any) -> None:
    """What is no source raises what `compile` raises."""
    with pytest.raises((SyntaxError, TypeError)):
        getattr(root, operation)(source)


def test_set_value(root: Operations, package: str) -> None:
    """A dotted name is set where it belongs."""
    root.set_value(f"{package}.value", 9)

    assert root.get_value(f"{package}.value") == 9
    with pytest.raises(NameError):
        root.set_value("easycluster_no_such_name.x", 1)


def test_import_modules(root: Operations, package: str) -> None:
    """Imported modules are names of the definitions, by their first part."""
    root.import_modules([f"{package}.sub", "json"])

    assert root.eval(f"{package}.sub.value, json.dumps(1)") == (2, "1")
    with pytest.raises(ModuleNotFoundError):
        root.import_module("easycluster_no_such_module")


def test_operations_exist() -> None:
    """Every operation that a client may call is one."""
    assert all(callable(getattr(Operations, name)) for name in Operations.NAMES)
    assert not any(name.startswith("_") for name in Operations.NAMES)


def test_names_that_lazy_imports_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `lazy import` of Python 3.15 leaves in a namespace is imported when the name is used."""

    class Lazy:
        def resolve(self) -> object:
            return json

    namespace = ServerNames()
    monkeypatch.setattr(names, "_LAZY_TYPES", Lazy)
    monkeypatch.setitem(namespace.globals, "later", Lazy())

    assert namespace.resolve("later") is json
    assert namespace.resolve("later.dumps") is json.dumps
