"""Dotted names on both ends; their resolution for a client's calls is tested with `ServerNames`."""

from __future__ import annotations

import os.path
import sys
from types import ModuleType
from typing import Any

import pytest

import easycluster
from easycluster import get_global, set_global
from easycluster_protocol._definitions import modules, names as names_module

OTHER_NAME = "easycluster_test_globals"


@pytest.fixture(autouse=True)
def module() -> Any:
    """Definitions of a client: a class, a value, and what they use."""
    modules.define_common("class Thing:\n    size = 1\nvalue = 5\n")
    return sys.modules[modules.DEFAULT_NAME]


def test_names_of_a_client(module: Any) -> None:
    """On a client names are looked up in the default definitions, then among the builtins."""
    set_global("Thing.size", 2)
    set_global("later", "new")

    assert (get_global("value"), get_global("later"), module.later) == (5, "new", "new")
    assert get_global("Thing.size") == module.Thing.size == 2
    assert get_global("str.join") is str.join
    set_global("len", "own")
    assert (get_global("len"), len("ab")) == ("own", 2)


def test_names_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """In remote code names are looked up where its client does, unless another place is named."""
    modules.define_common("value = 'of another'", OTHER_NAME)
    names = names_module.NameResolver(sys.modules[OTHER_NAME])
    monkeypatch.setattr(names_module, "server_names", names)

    assert get_global("value") == "of another"
    set_global("value", "changed")
    assert get_global("value", OTHER_NAME) == "changed"
    assert get_global("value", modules.DEFAULT_NAME) == 5


@pytest.mark.parametrize("by_name", [True, False], ids=["name", "module"])
def test_context(by_name: bool) -> None:
    """Any module may be where they are looked up: of definitions or an ordinary one, by its name or itself."""
    modules.define_common("value = 'of another'", OTHER_NAME)
    for name, expected in ((OTHER_NAME, "of another"), (modules.DEFAULT_NAME, 5)):
        assert get_global("value", name if by_name else sys.modules[name]) == expected
    set_global("value", "changed", OTHER_NAME if by_name else sys.modules[OTHER_NAME])

    assert get_global("value", OTHER_NAME) == "changed"
    assert get_global("value") == 5
    assert get_global("path.join", "os" if by_name else os) is os.path.join


def test_auto_import(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules, and modules in packages, are imported on the way only when that is asked for."""
    folder = tmp_path / "easycluster_test_names"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "sub.py").write_text("value = 7\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(
        NameError, match=r"neither in easycluster.remote_code, nor a builtin \(.*auto_import=True"
    ):
        get_global(f"{folder.name}.sub.value")
    with pytest.raises(NameError):
        set_global(f"{folder.name}.sub.value", 8)
    assert folder.name not in sys.modules
    assert get_global(f"{folder.name}.sub.value", auto_import=True) == 7
    set_global("package", sys.modules[folder.name])
    set_global("package.sub.value", 8)
    assert get_global("package.sub.value") == 8
    for name in (folder.name, f"{folder.name}.sub"):
        del sys.modules[name]


@pytest.mark.parametrize("missing", ["easycluster_a_missing_module", "easycluster_z_missing_module"])
def test_modules_that_cannot_be_imported(
    missing: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is there, but cannot import another one, fails with the name of that other module."""
    folder = tmp_path / "easycluster_k_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "sub.py").write_text(f"import {missing}\n")
    (tmp_path / "easycluster_k_module.py").write_text(f"import {missing}\n")
    monkeypatch.syspath_prepend(tmp_path)

    for name in ("easycluster_k_module.value", f"{folder.name}.sub.value"):
        with pytest.raises(ModuleNotFoundError, match=f"No module named '{missing}'"):
            get_global(name, auto_import=True)
    del sys.modules[folder.name]


def test_names_of_ours_that_a_host_lacks(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client's half is not installed, its names are as any other: modules of the host, or unknown."""
    (tmp_path / "Client.py").write_text("x = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(easycluster, "__all__", ["ServerObject"])
    names = names_module.NameResolver(modules.definitions_module(OTHER_NAME))

    assert names.resolve("Client.x") == 42
    with pytest.raises(NameError, match="name 'Connection' is not defined"):
        names.resolve("Connection.x")
    del sys.modules["Client"]


def test_packages_without_auto_import(module: Any) -> None:
    """A package's submodule that nobody imported is not imported for its name unless that is asked for."""
    module.package = ModuleType(OTHER_NAME)

    with pytest.raises(AttributeError, match="sub"):
        get_global("package.sub")


@pytest.mark.parametrize("context", ["easycluster_no_such_module", "", 5])
def test_unknown_context(context: Any) -> None:
    """A context that is not a module that exists is named in the error."""
    for use in (lambda: get_global("x", context), lambda: set_global("x", 1, context)):
        with pytest.raises(ValueError, match=f"there is no module {context!r}"):
            use()


def test_names_that_are_none() -> None:
    """An unknown name says where it was looked for, an unknown attribute its object, and a name is a text."""
    with pytest.raises(NameError, match="'nothing' is not defined: it is neither in easycluster.remote_code"):
        get_global("nothing.x")
    with pytest.raises(NameError, match="nor a builtin, nor a module$"):
        get_global("easycluster_no_such_module", auto_import=True)
    with pytest.raises(AttributeError, match="'Thing' has no attribute 'nothing'"):
        get_global("Thing.nothing")
    for use in (lambda: get_global(5), lambda: set_global(None, 1)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is a text, not"):
            use()
