"""`easycluster.options`: views of clients and proxies whose calls carry options."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import (
    SINGLE,
    CallTimeout,
    NonblockingResponse,
    RemoteException,
    call_method_multi,
    options as with_options,
)
from helpers.remote_tasks import Tasks

pytestmark = pytest.mark.usefixtures("task_definitions")


#: Each way to make a call with a client, which waits until a file exists.
CALLS: dict[str, Callable[[Any, str], Any]] = {
    "a name": lambda view, path: view.wait_for(path),
    "a dotted name": lambda view, path: view.subprocess.check_call(
        ["sh", "-c", f"until [ -e {path} ]; do :; done"]
    ),
    "call": lambda view, path: view.call("wait_for", path),
    "raw_call": lambda view, path: view.raw_call("wait_for", [path]),
    "eval": lambda view, path: view.eval(f"wait_for({path!r})"),
    "execblock": lambda view, path: view.execblock(f"wait_for({path!r})"),
    "send_request": lambda view, path: view.send_request(0, "eval", [f"wait_for({path!r})"]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_call_carries_them(spawn: Any, tasks: Tasks, call: Callable[[Any, str], Any]) -> None:
    """Whichever way a call is made by the view of a client, the options hold for it, and for no other."""
    client = spawn()
    with pytest.raises(CallTimeout) as caught:
        call(with_options(client, timeout=0.01), tasks.path("late"))
    response = call(with_options(client, nonblocking=True), tasks.path("late"))
    tasks.finish("late")
    caught.value.response.wait()
    response.wait()

    assert isinstance(response, NonblockingResponse)
    assert client.add(1) == 2


def test_values_of_names(spawn: Any) -> None:
    """Reading and setting a name carries the options, too; what is set is waited for."""
    client = spawn()
    view = with_options(client, threadid=7, nonblocking=True, origexc="quiet")
    view.place.value = 5
    response = view.place.value

    assert client.place.value == 5
    assert response.wait() == 5
    assert "easycluster-7" in client.eval("[t.name for t in __import__('threading').enumerate()]")
    with pytest.raises(AttributeError, match=r"assign to \.x\.value"):
        view.place.x = 5


def test_keywords_of_the_function(spawn: Any) -> None:
    """Only the five keywords are taken from a call; `timeout` and all others are the function's."""
    client = spawn()

    assert client.echo(timeout=5) == ((), {"timeout": 5})
    assert with_options(client, timeout=30).echo(timeout=5, max=1) == ((), {"timeout": 5, "max": 1})
    assert client.subprocess.check_output(["echo", "a"], timeout=30) == b"a\n"
    assert client.raw_call("echo", [], {"threadid": 1}, threadid=1) == ((), {"threadid": 1})


def test_the_call_goes_first(spawn: Any) -> None:
    """What a call is told itself counts more than what the view says."""
    view = with_options(spawn(), nonblocking=True, origexc="quiet")

    assert view.add(1, nonblocking=False) == 2
    with pytest.raises(RemoteException):
        view.divide(1, 0, nonblocking=False, origexc=False)
    with pytest.raises(ZeroDivisionError):
        view.divide(1, 0).wait()


def test_all_options(spawn: Any) -> None:
    """The view takes all options of a call."""
    seen: list[Any] = []
    client = spawn()
    view = with_options(client, oncomplete=(seen.append,), onerror=seen.append, threadid=SINGLE)
    for divisor in (1, 0):
        view.divide(1, divisor)
    easycluster.ClientGroup([client]).read_responses()

    assert {type(value) for value in seen} == {float, RemoteException}
    assert with_options(client, origexc=False).eval("1") == 1


def test_view_of_a_view(spawn: Any) -> None:
    """A view of a view has the options of both, and what is named by a view is one."""
    view = with_options(with_options(spawn(), origexc=False, nonblocking=True), nonblocking=False)

    with pytest.raises(RemoteException):
        with_options(view.operator.truediv, threadid=1)(1, 0)
    assert view.math.sqrt(16.0) == 4.0


def test_view_shows_the_client(spawn: Any) -> None:
    """Whatever makes no call is the client's own, and what is set is set there."""
    client = spawn()
    view = with_options(client, timeout=5)
    view.label = "mine"

    assert (view.peername, view.connected, client.label) == (client.peername, True, "mine")
    assert repr(view) == f"<{client!r} with timeout=5>"
    assert repr(view.os.path) == f"<<os.path on {client.peername}> with timeout=5>"
    with pytest.raises(TypeError, match="cannot be sent"):
        pickle.dumps(view)
    with pytest.raises(AttributeError, match="not forwarded"):
        view.__array__  # noqa: B018
    view.close()
    assert not client.connected


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"limit": 5}, "there is no option 'limit'; there are nonblocking, .*timeout"),
        ({"oncomplete": 5}, "oncomplete must be a function"),
        ({"onerror": ()}, "onerror must be a function"),
    ],
)
def test_bad_options(spawn: Any, options: dict[str, Any], text: str) -> None:
    """An unknown option, or one of a wrong type, is refused when the view is made."""
    with pytest.raises(TypeError, match=text):
        with_options(spawn(), **options)


def test_what_makes_no_calls() -> None:
    """Only clients and proxies have options."""
    with pytest.raises(TypeError, match="options are for clients and proxies, not for 'host1'"):
        with_options("host1", timeout=5)


#: A server object with the functions of the tests as methods.
METHODS = """
class Methods(ServerObject):
    add = staticmethod(add)
    divide = staticmethod(divide)
    meet = staticmethod(globals().get("meet"))
"""


def methods(client: Any) -> Any:
    """A proxy of such an object."""
    client.execblock(METHODS)
    return client.Methods()


def test_call_method_multi(spawn: Any, tasks: Tasks) -> None:
    """A method is called at once on all objects: proxies, clients and views of either; values come in order."""
    clients = [spawn() for _ in range(4)]
    for number, client in enumerate(clients):
        client.execblock(
            f"def meet(*, folder):\n    open(folder + '/{number}', 'w').close()\n"
            f"    wait_for(folder + '/{3 - number}')\n    return {number}"
        )
    views = with_options(clients[2], timeout=30), with_options(methods(clients[3]), timeout=30)
    objects = [methods(clients[0]), clients[1], *views]

    assert call_method_multi(objects, "meet", folder=str(Path(tasks.path("x")).parent)) == [0, 1, 2, 3]
    assert call_method_multi(objects, "add", 1, b=2, threadid=1, nonblocking=False) == [3] * 4
    assert call_method_multi([], "add") == []


def test_errors_of_call_method_multi(spawn: Any) -> None:
    """The first error is raised after all have ended; what has no methods is such an error."""
    client = spawn()
    client.execblock("calls = []")

    with pytest.raises(TypeError, match="methods are called on proxies and clients, not on 'host1'"):
        call_method_multi(["host1", client], "calls.append", 1)
    with pytest.raises(ZeroDivisionError):
        call_method_multi([methods(client)], "divide", 1, 0, origexc="quiet")
    assert client.calls.value == [1]


def test_overridden_raw_call(spawn: Any) -> None:
    """A class of the script's that overrides `raw_call` gets the calls of every view of its clients."""
    client = spawn()
    calls: list[tuple[Any, ...]] = []

    class Noting(type(client)):  # type: ignore[misc]
        def raw_call(self, *args: Any, **options: Any) -> Any:
            calls.append(args)
            return super().raw_call(*args, **options)

    client.__class__ = Noting
    results = [with_options(client, timeout=30).add(1), with_options(client.add, timeout=30)(2)]

    assert results == [2, 3]
    assert calls == [("add", (1,), {}), ("add", (2,), {})]
