"""How tools that look at objects are recognised, and what proxies do for them."""

from __future__ import annotations

import inspect
import reprlib
from typing import Any
from unittest import mock

import pytest

from easycluster_protocol._objects.introspection import is_for_display, is_for_tools, is_tool_asking
from helpers.fake_proxies import NAMES, make, sent

ANY = (("method",), ("val",), ("constant",), True)


@pytest.mark.parametrize("name", ["_repr_html_", "_ipython_display_", "getdoc", "_is_coroutine"])
def test_names_of_tools(name: str) -> None:
    """Names that only tools ask for; those of displays among them are recognised by their beginning."""
    assert is_for_tools(name)
    assert is_for_display(name) is name.startswith(("_repr_", "_ipython_"))


@pytest.mark.parametrize("name", ["doc", "get_doc", "_private", "repr_", "__len__", "inspect"])
def test_names_of_objects(name: str) -> None:
    """Every other name is one that an object may have."""
    assert not is_for_tools(name)


@pytest.mark.parametrize("module", ["inspect", "IPython.core.oinspect", "_pydevd_bundle.pydevd_resolver"])
def test_modules_of_tools(module: str) -> None:
    """A tool is recognised by its module or package, so far above as it asks."""
    there: Any = {"__name__": module, "is_tool_asking": is_tool_asking}
    here: Any = {"__name__": "script", "is_tool_asking": is_tool_asking}
    exec("def ask(depth): return is_tool_asking(depth)", here)
    there["ask"] = here["ask"]
    exec("def use(depth): return ask(depth)", there)

    assert (here["ask"](0), there["use"](0), there["use"](1)) == (False, False, True)


@pytest.mark.parametrize("descriptor", [NAMES, ANY], ids=["listed", "any"])
def test_tools_ask_nobody(descriptor: Any) -> None:
    """Attributes are not read for a tool that reads all there are, and unknown ones not looked for."""
    proxy = make(descriptor)

    members = dict(inspect.getmembers(proxy))
    assert "method" in members
    assert not {"val", "constant"} & members.keys()
    assert {"method", "val", "constant"} < {*dir(proxy)}
    mock.create_autospec(proxy)
    reprlib.repr(proxy)
    for name in "getdoc", "_repr_html_", "_ipython_canary_method_should_not_exist_", "_is_coroutine":
        assert not hasattr(proxy, name)
    assert sent(proxy) == []


def test_scripts_ask_as_always() -> None:
    """An attribute that the script reads is asked for, also one that it replaces for a while."""
    proxy = make(ANY)

    assert (proxy.val, proxy.other) == ("answer", "answer")
    with mock.patch.object(proxy, "val", 5):
        pass
    assert sent(proxy)[:3] == [("get", "val"), ("get", "other"), ("get", "val")]
