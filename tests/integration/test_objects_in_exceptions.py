"""Server objects in exceptions that remote code raises: proxies, wherever they stand, that are given back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from easycluster import RemoteException, RemoteProxy
from helpers.server_objects import kept
from helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = """
import threading

class Failed(Exception):
    def __init__(self, *args, **attributes):
        super().__init__(*args)
        vars(self).update(attributes)

class Particular(Exception):
    def __init__(self, *, thing, lock=None):
        super().__init__('particular', thing)
        self.thing, self.lock = thing, lock

def fail(place):
    if place == 'lock beside it':
        raise Failed(same, [threading.Lock(), {'it': same}], lock=threading.Lock(), also=(same,))
    raise {
        'argument': Failed('text', same),
        'attribute': Failed('text', thing=same),
        'container': Failed('text', {'a': [(1, same)]}, deep=[{same}]),
        'constructor': Particular(thing=same),
        'constructor and lock': Particular(thing=same, lock=threading.Lock()),
        'built-in': KeyError(same),
        'error within': Failed(Particular(thing=same, lock=threading.Lock())),
    }[place]

def fail_in_a_group(locked):
    locks = [Failed(threading.Lock())] if locked else []
    raise ExceptionGroup('both', [ValueError(same), ExceptionGroup('inner', [Particular(thing=same), *locks])])

def fail_in_a_chain():
    try:
        raise Failed(same)
    except Failed as error:
        raise Particular(thing=same) from error

def fail_anew(count):
    raise Failed([Thing(number) for number in range(count)])

def fail_file():
    raise Failed(open('/dev/null'))

same = Thing(3)
"""


def caught(function: Any, *args: Any) -> Any:
    """The exception that a remote function raises."""
    with pytest.raises(Exception) as found:  # noqa: PT011 -- the tests look at it
        function(*args, origexc="quiet")
    return found.value.with_traceback(None)


PLACES: dict[str, Callable[[Any], Any]] = {
    "argument": lambda error: error.args[1],
    "attribute": lambda error: error.thing,
    "container": lambda error: [*error.deep[0], error.args[1]["a"][0][1]],
    "constructor": lambda error: [error.thing, error.args[1]],
    "constructor and lock": lambda error: [error.thing, error.args[1]],
    "built-in": lambda error: error.args[0],
    "error within": lambda error: [error.args[0].thing, error.args[0].args[1]],
    "lock beside it": lambda error: [error.args[0], error.args[1][1]["it"], error.also[0]],
}


@pytest.mark.parametrize("place", PLACES)
def test_places(far: Any, place: str) -> None:
    """An object that stays on the server is its proxy in arguments, attributes and containers of an exception."""
    same = far.eval("same")

    found = PLACES[place](caught(far.fail, place))

    assert found is same or all(each is same for each in found)


def test_text_in_place_of_what_no_result_can_carry(far: Any) -> None:
    """Beside proxies only that is text which cannot be sent."""
    error = caught(far.fail, "lock beside it")

    assert "lock" in error.lock
    assert "lock" in error.args[1][0]
    assert type(error).__name__ == "Failed"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="came with Python 3.11")
@pytest.mark.parametrize("locked", [False, True])
def test_groups(far: Any, locked: bool) -> None:
    """The members of a group have proxies, too, also beside members that cannot be sent whole."""
    same = far.eval("same")

    group = caught(far.fail_in_a_group, locked)

    assert group.exceptions[0].args == (same,)
    assert group.exceptions[1].exceptions[0].thing is same


def test_chains(far: Any) -> None:
    """So have the causes of an exception."""
    same = far.eval("same")

    error = caught(far.fail_in_a_chain)

    assert error.thing is same
    assert error.__cause__.args[0] is same


def test_proxies_of_other_kinds(far: Any) -> None:
    """A file in an exception is a proxy of it."""
    (file,) = caught(far.fail_file).args

    assert isinstance(file, RemoteProxy)
    assert file.read() == ""


@pytest.mark.parametrize("how", ["caught", "unread", "RemoteException", "reported", "places"])
def test_they_are_given_back(far: Any, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The server drops the objects of an exception that is gone: read, reported, or thrown away unread."""
    same = far.eval("same")
    kept(far, 1)
    if how == "caught":
        error = caught(far.fail_anew, 5)
        kept(far, 6)
        del error
    elif how == "unread":
        response = far.fail_anew(5, nonblocking=True)
        wait_until(lambda: response.have_response or (far.read_response(False) and response.have_response))
        del response
    elif how == "RemoteException":
        with pytest.raises(RemoteException):
            far.fail_anew(5, origexc=False)
    elif how == "reported":
        with pytest.raises(Exception):  # noqa: B017, PT011 -- it is thrown away
            far.fail_anew(5)
        assert "Thing object at" in capsys.readouterr().err
    else:
        for place in PLACES:
            caught(far.fail, place)

    kept(far, 1)
    assert same.value == 3
