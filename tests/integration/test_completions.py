"""Completion functions: when they are called, what they may do, and what becomes of what they raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster import SINGLE, DeserializationError, OutcomeUnknown, RemoteException
from helpers.remote_tasks import Tasks
from helpers.waiting import wait_until

TLS_TOO = True

pytestmark = pytest.mark.usefixtures("task_definitions")


def test_called_during_a_wait(client: Any, tasks: Tasks) -> None:
    """While a call is waited for, completion functions are called when their answers come, not at its end."""
    client.add(1, oncomplete=lambda value: tasks.finish("late"), threadid=1)

    assert client.wait_for(tasks.path("late")) == "late"


def test_called_while_several_are_waited_for(spawn: Any, tasks: Tasks) -> None:
    """The same holds for `easycluster.wait`, and for completion functions of other calls' clients."""
    clients = [spawn(), spawn()]
    late = [tasks.start(client, name) for client, name in zip(clients, "ab", strict=True)]
    clients[1].add(1, oncomplete=lambda value: tasks.finish("a", "b"), threadid=1)

    assert easycluster.wait(late).done == set(late)


def test_error_of_a_completion_function(spawn: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What one raises is printed with its stack trace; the call that waits, and the others, go on."""
    client = spawn()
    seen: list[Any] = []

    def fail(value: Any, *more: Any) -> None:
        raise KeyError(value, *more)

    client.add(1, oncomplete=fail)
    client.add(2, oncomplete=(fail, "further"))
    client.divide(1, 0, onerror=lambda error: fail("on error"))
    client.add(3, oncomplete=seen.append)

    assert client.add(4) == 5
    assert seen == [4]
    printed = capsys.readouterr().err
    assert printed.count("Exception in a completion function of ") == 3
    assert printed.count("in fail") == 3
    assert all(
        text in printed for text in ("KeyError: 2", "KeyError: (3, 'further')", "KeyError: 'on error'")
    )


def test_interrupt_of_a_completion_function(spawn: Any) -> None:
    """What is no ordinary error, as Ctrl-C, comes out where the script waits; the others are called later."""
    client = spawn()
    seen: list[Any] = []

    def interrupt(value: Any) -> None:
        raise KeyboardInterrupt

    client.add(1, oncomplete=interrupt)
    client.add(2, oncomplete=seen.append)
    with pytest.raises(KeyboardInterrupt):
        while True:
            client.read_response()
    client.add(3)

    assert seen == [3]


def test_completion_functions_that_wait(client: Any) -> None:
    """A thousand completion functions that wait in calls of their own do not run one inside the other."""
    seen: list[Any] = []
    depth: list[int] = [0, 0]

    def complete(value: int) -> None:
        depth[0] += 1
        depth[1] = max(depth)
        seen.append(client.add(value) if value % 2 else client.add(value, nonblocking=True).wait())
        depth[0] -= 1

    for number in range(1000):
        client.add(number, oncomplete=complete)
    while len(seen) < 1000:
        client.read_response()

    assert seen == list(range(2, 1002))
    assert depth == [0, 1]


def test_completion_function_that_reads(spawn: Any) -> None:
    """A completion function that reads itself, as until another one was called, gets what it reads for."""
    client = spawn()
    seen: list[Any] = []

    def first(value: Any) -> None:
        while "second" not in seen:
            client.read_response()
        seen.append("first")

    client.add(1, oncomplete=first)
    client.add(2, oncomplete=lambda value: seen.append("second"))
    client.add(3)

    assert seen == ["second", "first"]


def test_answer_that_was_read_before(spawn: Any) -> None:
    """`read_response` does not wait when an answer was read while something was sent."""
    client = spawn()
    seen: list[Any] = []
    client.add(1, oncomplete=seen.append)

    def was_read() -> bool:
        client._easycluster_calls.session.receive_available()
        return bool(client._easycluster_calls.session.arrived)

    wait_until(was_read)

    assert client.read_response() is True
    assert seen == [2]


@pytest.mark.parametrize("name", ["oncomplete", "onerror"])
def test_end_of_the_connection(spawn: Any, tasks: Tasks, name: str) -> None:
    """A close calls the completion functions of outstanding calls; `orig` is the error that the others raise."""
    client = spawn()
    seen: list[Any] = []
    tasks.start(client, "never", **{name: seen.append})
    client.close("closed by the test")

    assert [type(error) for error in seen] == [RemoteException]
    assert (type(seen[0].orig), str(seen[0].orig)) == (OutcomeUnknown, "closed by the test")
    assert seen[0].text == ["OutcomeUnknown: closed by the test\n"]


def test_results_that_cannot_be_rebuilt(spawn: Any) -> None:
    """A result that arrives and cannot be unpickled is an error as any other."""
    client = spawn()
    seen: list[Any] = []
    client.execblock("class Unknown: pass")
    client.eval("Unknown()", oncomplete=seen.append)
    client.add(1)

    assert [type(error) for error in seen] == [RemoteException]
    assert isinstance(seen[0].orig, DeserializationError)


def test_errors_of_remote_code(spawn: Any) -> None:
    """Remote errors come as `RemoteException`, whatever `origexc` says."""
    client = spawn()
    seen: list[Any] = []
    for mode in (True, False, "quiet"):
        client.divide(1, 0, onerror=seen.append, origexc=mode)
    client.add(1)

    assert [type(error) for error in seen] == [RemoteException] * 3
    assert {type(error.orig) for error in seen} == {ZeroDivisionError}


@pytest.mark.parametrize("completion", ["print", (), ("print", 1), 5])
@pytest.mark.parametrize("name", ["oncomplete", "onerror"])
def test_what_cannot_be_called(spawn: Any, name: str, completion: Any) -> None:
    """A completion function that is none is refused before the call is sent."""
    client = spawn()
    client.execblock("calls = []")

    with pytest.raises(TypeError, match=f"{name} must be a function, or a tuple"):
        client.calls.append(1, **{name: completion})
    assert client.calls.value == []


@pytest.mark.parametrize("threadid", ["1", 1.0, object(), 1 << 63])
def test_thread_that_is_none(spawn: Any, threadid: Any) -> None:
    """A thread id of a wrong type is refused, wherever it is given."""
    client = spawn()
    asks: list[Callable[[], Any]] = [
        lambda: client.add(1, threadid=threadid),
        lambda: client.set_default_thread(threadid),
        lambda: client.stop_remote_thread(threadid),
        lambda: easycluster.options(client, threadid=threadid),
    ]
    for ask in asks:
        with pytest.raises(TypeError, match="threadid must be an integer .*or easycluster.SINGLE, not "):
            ask()

    assert client.add(1) == 2


def test_other_integers(spawn: Any) -> None:
    """A thread id may be any integer, as those of NumPy."""

    class Number:
        def __index__(self) -> int:
            return 5

    client = spawn()
    name = "__import__('threading').current_thread().name"

    assert client.eval(name, threadid=Number()) == client.eval(name, threadid=5) == "easycluster-5"


def test_default_thread_for_each_call(spawn: Any) -> None:
    """The default thread may be `SINGLE`, too."""
    client = spawn()
    name = "__import__('threading').current_thread().name"
    names = [client.eval(name)]
    for thread in (SINGLE, 4, 0):
        client.set_default_thread(thread)
        names.append(client.eval(name))

    assert names == ["MainThread", "easycluster-single", "easycluster-4", "MainThread"]
