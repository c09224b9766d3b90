"""The five keywords of every call, on each method of a client that calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from easycluster import NonblockingResponse, RemoteException

#: Each calls a function of the server's that has no arguments.
CALLS: dict[str, Callable[..., Any]] = {
    "a name": lambda client, name, **options: getattr(client, name)(**options),
    "call": lambda client, name, **options: client.call(name, **options),
    "raw_call": lambda client, name, **options: client.raw_call(name, (), **options),
    "eval": lambda client, name, **options: client.eval(f"{name}()", **options),
    "execblock": lambda client, name, **options: client.execblock(f"exec_return({name}())", **options),
    "send_request": lambda client, name, **options: client.send_request(0, "eval", [f"{name}()"], **options),
    "get_root": lambda client, name, **options: client.get_root().eval(f"{name}()", **options),
}

DEFINITIONS = """
import threading

def in_main_thread():
    return threading.current_thread() is threading.main_thread()

def fail():
    raise KeyError("on purpose")
"""


@pytest.fixture
def prepared(client: Any) -> Any:
    """A client with the definitions above."""
    client.execblock("from easycluster import *\n" + DEFINITIONS)
    return client


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_keywords(prepared: Any, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Each method takes every one of them, and each means the same there."""
    response = call(prepared, "in_main_thread", nonblocking=True)
    values: list[Any] = []
    errors: list[Any] = []
    complete = (lambda *told: values.append(told), "more")
    waiting = call(prepared, "in_main_thread", oncomplete=complete, threadid=5)
    failing = call(prepared, "fail", oncomplete=complete, onerror=errors.append)

    assert isinstance(response, NonblockingResponse)
    assert response.wait() is True
    assert waiting.wait() is False
    with pytest.raises(KeyError):
        failing.wait("quiet")
    assert values == [(False, "more")]
    assert [type(error.orig) for error in errors] == [KeyError]
    with pytest.raises(RemoteException):
        call(prepared, "fail", origexc=False)
    with pytest.raises(KeyError):
        call(prepared, "fail", origexc="quiet")
    assert capsys.readouterr().err == ""
    with pytest.raises(KeyError):
        call(prepared, "fail")
    assert "in fail" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["import_module", "colorsys"], ["import_modules", ["colorsys", "json"]]])
def test_keywords_of_imports(client: Any, names: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """So do the methods that import."""
    method, what = names
    done = threading.Event()
    call = getattr(client, method)

    response = call(what, nonblocking=True, threadid=5, oncomplete=lambda value: done.set())
    assert isinstance(response, NonblockingResponse)
    assert response.wait() is None
    assert done.is_set()
    assert client.eval("colorsys.__name__") == "colorsys"
    with pytest.raises(RemoteException) as caught:
        call("no_such_module" if method == "import_module" else ["no_such_module"], origexc=False)
    assert isinstance(caught.value.orig, ModuleNotFoundError)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("method", ["eval", "execblock", "import_module", "import_modules"])
def test_other_keywords(client: Any, method: str) -> None:
    """A keyword that is none of them is refused by name where no function could want it."""
    with pytest.raises(TypeError, match="'other'"):
        getattr(client, method)("json", other=1)
