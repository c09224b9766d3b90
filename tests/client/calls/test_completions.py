"""Completion functions: which values are some, how they are called, and what is printed of their errors."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._calls import completions

RESPONSE: Any = SimpleNamespace(call_label="f", client=SimpleNamespace(peername="there:22"))


# Checks.


def test_no_completion_function() -> None:
    """None means that there is none."""
    assert completions.check("oncomplete", None) is None


@pytest.mark.parametrize("completion", [print, (print,), (print, 1, None), int], ids=repr)
def test_completion_functions(completion: Any) -> None:
    """A function, and a tuple that begins with one, are taken as they are."""
    assert completions.check("oncomplete", completion) is completion


@pytest.mark.parametrize("completion", [0, False, "print", (), (1, print), (None,), [print]], ids=repr)
def test_values_that_are_no_completion_functions(completion: Any) -> None:
    """Anything else is an error that names the option and shows the value; so are false values and an empty tuple."""
    with pytest.raises(TypeError) as caught:
        completions.check("onerror", completion)

    assert str(caught.value) == (
        f"onerror must be a function, or a tuple of a function and further arguments, not {completion!r}"
    )


# Calls.


def test_function_gets_the_value() -> None:
    """A function is called once, with the value alone."""
    calls: list[Any] = []
    completions.call(lambda *args: calls.append(args), 7, RESPONSE)

    assert calls == [(7,)]


def test_function_of_a_tuple_gets_its_arguments() -> None:
    """The other values of the tuple come after the value."""
    calls: list[Any] = []
    completions.call((lambda *args: calls.append(args), "a", None), 7, RESPONSE)
    completions.call((lambda *args: calls.append(args),), 8, RESPONSE)

    assert calls == [(7, "a", None), (8,)]


def fail(error: BaseException, *_: Any) -> None:
    """Raise the error."""
    raise error


def test_error_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """The error of a completion function is printed with its call and its stack trace, in which nothing of ours is."""
    completions.call(fail, ValueError("bad"), RESPONSE)
    printed = capfd.readouterr()
    lines = printed.err.splitlines()

    assert printed.out == ""
    assert lines[0] == "Exception in a completion function of f on there:22:"
    assert lines[1] == "Traceback (most recent call last):"
    assert f'File "{__file__}"' in lines[2]
    assert lines[2].endswith("in fail")
    assert lines[-1] == "ValueError: bad"
    assert completions.__file__ not in printed.err


def test_error_of_a_function_that_cannot_be_called_so(capfd: pytest.CaptureFixture[str]) -> None:
    """An error that comes before the function has begun has no stack trace of its own, and is printed too."""
    call: Any = completions.call
    call(lambda: None, 7, RESPONSE)
    lines = capfd.readouterr().err.splitlines()

    assert lines[0] == "Exception in a completion function of f on there:22:"
    assert lines[-1].startswith("TypeError: ")
    assert completions.__file__ not in "".join(lines)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_end_of_the_program_in_a_completion_function(
    error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is to end the program is passed on, and not printed."""
    with pytest.raises(type(error)) as caught:
        completions.call((fail,), error, RESPONSE)

    assert caught.value is error
    assert capfd.readouterr().err == ""


class Unshowable(Exception):
    """An error of which no text can be made, whatever Python does about that."""

    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise ZeroDivisionError


def test_error_that_cannot_be_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """An error that cannot be shown ends in silence, so that other functions are called."""
    completions.call(fail, Unshowable(), RESPONSE)

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_error_without_a_place_to_print_it(stderr: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a standard error, or with one that was closed, the error is dropped."""
    stream = None if stderr is None else io.StringIO()
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)

    completions.call(fail, ValueError("bad"), RESPONSE)


def test_error_of_a_call_without_a_name(capfd: pytest.CaptureFixture[str]) -> None:
    """An error whose call cannot be named, because the script broke its client, harms nothing."""
    completions.call(fail, ValueError("bad"), SimpleNamespace(call_label="f", client=None))

    assert capfd.readouterr().err == ""


# Whether a thread is inside a method.


class Owner:
    """Has a method that runs something."""

    def run(self, action: Callable[[], Any]) -> Any:
        """Run it."""
        return action()

    def ask(self, method: Any, owner: object) -> bool:
        """Return whether the caller of this is inside a method of the owner."""
        return completions.is_inside(method, owner)


def inside(owner: object) -> bool:
    """Return what a method finds that is called here."""
    return Owner().ask(Owner.run, owner)


def test_thread_that_is_inside() -> None:
    """A thread that is inside the method is found so, however deep, and after that no longer."""
    owner = Owner()

    assert owner.run(lambda: inside(owner))
    assert owner.run(lambda: Owner().run(lambda: inside(owner)))
    assert not inside(owner)


def test_method_of_another_owner() -> None:
    """The method of another owner does not count, nor does another method of this one."""
    owner = Owner()

    assert not owner.run(lambda: inside(Owner()))
    assert not owner.run(lambda: Owner().ask(Owner.ask, owner))


def test_method_that_asks_does_not_count() -> None:
    """The call that asks is not one that it is inside of; the one around it is."""

    class Asks:
        def run(self, depth: int) -> bool:
            return completions.is_inside(Asks.run, self) if depth == 0 else self.run(depth - 1)

    assert not Asks().run(0)
    assert Asks().run(1)
