"""One bad value costs its own call and nothing else: each call here fails, and the next one works."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from easycluster import (
    DeserializationError,
    RemoteException,
    SerializationError,
    UnknownRemoteError,
    define_common,
)

DEFINITIONS = """
import sys
import threading
from functools import reduce

class Raises:
    def __reduce__(self):
        raise ValueError('not today')

class Exits:
    def __reduce__(self):
        raise SystemExit('in reduce')

class Recurses:
    def __reduce__(self):
        return Recurses, (Recurses(),)

class Misnamed:
    def __reduce__(self):
        return 'no_such_global'

class Unfit:
    def __reduce__(self):
        return int, ('x',)

class ExitsLater:
    def __reduce__(self):
        return sys.exit, ('when unpickled',)

class Greedy:
    def __reduce__(self):
        return bytearray, (1 << 62,)

class Hostile(Exception):
    def __str__(self):
        raise ValueError('no text')
    __repr__ = __str__
    def __reduce__(self):
        raise ValueError('no pickle')

class HalfHostile(Exception):
    def __str__(self):
        raise ValueError('no text')

class Holding(Exception):
    def __init__(self, text, lock=None):
        super().__init__(text, lock)
        self.lock = lock

class OneArgument(Exception):
    def __init__(self, number):
        super().__init__('number %d and more' % number)
        self.number = number

class Keyword(Exception):
    def __init__(self, *, code):
        super().__init__(code)

def nest():
    return reduce(lambda inner, _: [inner], range(100000), [])

def echo(value):
    return value

def add(a, b):
    return a + b

def throw(error):
    raise error

def throw_made(source):
    raise eval(source)

def long_chain():
    error = None
    for number in range(1000):
        following = ValueError(number)
        following.__cause__ = error
        error = following
    raise error

def circle():
    first, second = ValueError('first'), ValueError('second')
    first.__cause__ = second
    second.__context__ = first
    raise first
"""

#: What can be pickled nowhere: an expression, and what the error says of it.
UNSENDABLE = {
    "lock": ("threading.Lock()", "lock"),
    "in a list": ("[1, {'key': threading.Lock()}]", "lock"),
    "reduce raises": ("Raises()", "ValueError: not today"),
    "reduce recurses": ("Recurses()", "ecursion"),  # "deep recursion", or RecursionError
    "reduce exits": ("Exits()", "SystemExit: in reduce"),
    "reduce misnames": ("Misnamed()", "no_such_global"),
    "nested deeply": ("nest()", "ecursion"),
}

#: What can be pickled and not unpickled.
UNRECEIVABLE = {
    "constructor fails": ("Unfit()", "ValueError: invalid literal"),
    "constructor exits": ("ExitsLater()", "SystemExit: when unpickled"),
    "no memory": ("Greedy()", "MemoryError"),
}


@pytest.fixture
def client(connect: Any) -> Iterator[Any]:
    """A client with the definitions above, which has to be usable after the test too."""
    define_common(DEFINITIONS)
    client = connect()
    yield client
    assert client.add(1, 2) == 3


def evaluate(source: str) -> Any:
    """The value of an expression among the definitions on the master."""
    import easycluster.remote_code as module

    return eval(source, vars(module))


@pytest.mark.parametrize(("source", "says"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_argument_that_cannot_be_pickled(client: Any, source: str, says: str) -> None:
    """An argument that cannot be pickled is an error that names it, and nothing is sent."""
    # The user's own code may end the master.
    expected: type[BaseException] = SystemExit if source == "Exits()" else SerializationError
    value = evaluate(source)
    number = client.add(1, 2, nonblocking=True).request_id

    with pytest.raises(expected) as caught:
        client.add(1, value)

    if expected is SerializationError:
        assert f"argument 2 of add (type {type(value).__name__}) cannot be sent" in str(caught.value)
        assert says in str(caught.value)
        assert isinstance(caught.value, TypeError)
    assert client.add(1, 2, nonblocking=True).request_id == number + 1


def test_bad_keyword_argument(client: Any) -> None:
    """A keyword argument that cannot be pickled is named by its keyword."""
    with pytest.raises(SerializationError, match=r"argument 'b' of add \(type lock\)"):
        client.add(1, b=threading.Lock())


@pytest.mark.parametrize(("source", "says"), UNRECEIVABLE.values(), ids=UNRECEIVABLE)
def test_argument_that_cannot_be_unpickled(client: Any, source: str, says: str) -> None:
    """An argument that the server cannot rebuild is the call's error."""
    with pytest.raises(
        DeserializationError, match=rf"argument 1 of echo .*cannot be rebuilt on .* \(Python .*\): {says}"
    ):
        client.echo(evaluate(source), origexc="quiet")


@pytest.mark.parametrize(("source", "says"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_result_that_cannot_be_pickled(client: Any, source: str, says: str) -> None:
    """A result that cannot be pickled is the call's error, which names the function."""
    with pytest.raises(SerializationError, match=r"the result of eval cannot be sent") as caught:
        client.eval(source, origexc="quiet")

    assert says in str(caught.value)


@pytest.mark.parametrize(("source", "says"), UNRECEIVABLE.values(), ids=UNRECEIVABLE)
def test_result_that_cannot_be_unpickled(client: Any, source: str, says: str) -> None:
    """A result that the master cannot rebuild is the call's error, each time it is asked for."""
    response = client.eval(source, nonblocking=True)

    for _ in range(2):
        with pytest.raises(DeserializationError, match=rf"the result of eval on .*: {says}"):
            response.wait()


def test_class_that_the_server_does_not_know(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument of a class that only the master has is an error that names its module."""
    module = ModuleType("only_on_the_master")
    exec("class Thing:\n    pass\n", vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)

    with pytest.raises(DeserializationError, match="only_on_the_master"):
        client.echo(module.Thing(), origexc="quiet")


def test_class_that_the_master_does_not_know(client: Any) -> None:
    """A result of a class that only the server has is an error that names it."""
    define_common("class Thing:\n    pass\n", local=False)
    client.update_definitions()

    with pytest.raises(DeserializationError, match=r"the result of Thing on .*'Thing'"):
        client.Thing()


def test_neighbours_in_flight(client: Any) -> None:
    """Calls in flight beside a bad value keep their answers and their order."""
    before = [client.add(n, 0, nonblocking=True) for n in range(5)]
    bad = [client.eval(source, nonblocking=True) for source in ("Raises()", "Unfit()", "nowhere")]
    with pytest.raises(SerializationError):
        client.echo(threading.Lock(), nonblocking=True)
    unfit = client.echo(evaluate("Unfit()"), nonblocking=True)
    after = [client.add(n, 0, nonblocking=True) for n in range(5)]

    assert [response.wait() for response in after] == list(range(5))
    assert [response.wait() for response in before] == list(range(5))
    for response in (*bad, unfit):
        with pytest.raises((SerializationError, DeserializationError, NameError)):
            response.wait("quiet")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda client: client.raw_call("add", [], {1: 2}, origexc="quiet"), id="keyword 1"),
        pytest.param(lambda client: client.add(1, origexc="quiet"), id="argument missing"),
        pytest.param(lambda client: client.raw_call("add", 5), id="no sequence"),
        pytest.param(lambda client: client.call("sys.maxsize", origexc="quiet"), id="not callable"),
        pytest.param(lambda client: client.eval(5, origexc="quiet"), id="no source"),
    ],
)
def test_wrong_call(client: Any, call: Callable[[Any], Any]) -> None:
    """A call that cannot be made that way raises TypeError."""
    with pytest.raises(TypeError):
        call(client)


@pytest.mark.parametrize("source", ["1 +", "x = 1", "'\\0", "((((" * 500])
def test_source_that_does_not_compile(client: Any, source: str) -> None:
    """An expression that does not compile is the call's error."""
    with pytest.raises((SyntaxError, ValueError, MemoryError)):
        client.eval(source, origexc="quiet")


@pytest.mark.parametrize("size", [10_000_000])
def test_large_messages(client: Any, size: int) -> None:
    """Messages of 10 MB pass both ways, be they bytes, text or many small values."""
    for value in (b"x" * size, "ä" * (size // 2), list(range(size // 5))):
        assert client.echo(value) == value
        assert client.add(1, 2) == 3


def test_large_exception(client: Any) -> None:
    """An exception with a message of 10 MB arrives."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- its message is 10 MB long
        client.throw_made("ValueError('x' * 10_000_000)", origexc="quiet")

    assert len(str(caught.value)) == 10_000_000


def test_odd_text(client: Any) -> None:
    """Text that is not valid Unicode passes, in values, names and exceptions."""
    assert client.echo("\ud800\0") == "\ud800\0"
    with pytest.raises(NameError):
        client.call("\ud800", origexc="quiet")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- compared below
        client.throw(ValueError("\ud800"), origexc="quiet")
    assert caught.value.args == ("\ud800",)


def test_exception_with_unpicklable_attribute(client: Any) -> None:
    """An exception that holds what cannot be pickled arrives without that, as itself."""
    from easycluster.remote_code import Holding

    with pytest.raises(Holding) as caught:
        client.throw_made("Holding('text', threading.Lock())", origexc="quiet")

    assert caught.value.args[0] == "text"
    assert "lock" in caught.value.args[1]


def test_exception_with_other_constructor(client: Any) -> None:
    """Exceptions whose constructors do not take their `args` arrive as themselves."""
    from easycluster.remote_code import Keyword, OneArgument

    with pytest.raises(OneArgument, match="number 7 and more") as caught:
        client.throw_made("OneArgument(7)", origexc="quiet")
    with pytest.raises(Keyword, match="9"):
        client.throw_made("Keyword(code=9)", origexc="quiet")

    assert caught.value.number == 7


@pytest.mark.parametrize("kind", ["Hostile", "HalfHostile"])
def test_hostile_exception(client: Any, kind: str) -> None:
    """An exception that fails at being printed or pickled still is the call's error, by its name."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- which one is told below
        client.throw_made(f"{kind}()", origexc="quiet")

    assert type(caught.value).__name__ == kind


def test_exception_of_unknown_class(client: Any) -> None:
    """An exception of a class that the master does not know keeps name, text and built-in base."""
    define_common("class Overheated(KeyError, ValueError):\n    pass\n", local=False)
    client.update_definitions()

    with pytest.raises(LookupError) as caught:
        client.throw_made("Overheated('by 5 degrees')", origexc="quiet")

    error = caught.value
    assert isinstance(error, UnknownRemoteError)
    assert type(error).__name__ == "Overheated"
    assert error.remote_type == "easycluster.remote_code.Overheated"
    assert "by 5 degrees" in str(error)
    assert "Overheated" in str(error.reason)


def test_unknown_class_within_a_chain(client: Any) -> None:
    """A cause of an unknown class does not hide the exception that it caused."""
    define_common(
        "class Inner(OSError):\n    pass\n"
        "def fail():\n    try:\n        raise Inner('inner')\n    except Inner as error:\n"
        "        raise ValueError('outer') from error\n",
        local=False,
    )
    client.update_definitions()

    with pytest.raises(ValueError, match="outer") as caught:
        client.fail(origexc="quiet")

    assert isinstance(caught.value.__cause__, OSError)
    assert type(caught.value.__cause__).__name__ == "Inner"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_group_with_unpicklable_member(client: Any) -> None:
    """A group of which one member cannot be pickled arrives, with its message and trace."""
    with pytest.raises(RemoteException) as caught:
        client.throw_made("ExceptionGroup('several', [ValueError('one'), Hostile()])", origexc=False)

    assert "several" in str(caught.value.orig)
    assert isinstance(caught.value.orig, Exception)


def test_odd_notes(client: Any) -> None:
    """Notes that are no list of texts do no harm."""
    for notes in ("5", "[5, threading.Lock()]", "'text'", "[Hostile()]"):
        source = f"(lambda error: vars(error).update(__notes__={notes}) or error)(ValueError('noted'))"
        with pytest.raises(ValueError) as caught:  # noqa: PT011 -- `match` cannot read such notes
            client.throw_made(source, origexc="quiet")
        assert str(caught.value) == "noted"
        assert client.add(1, 2) == 3


def test_long_chain_of_causes(client: Any) -> None:
    """A chain of 1000 causes arrives, cut short."""
    with pytest.raises(ValueError, match="999") as caught:
        client.long_chain(origexc="quiet")

    assert caught.value.__cause__ is not None


def test_circle_of_causes(client: Any) -> None:
    """Exceptions that cause each other arrive."""
    with pytest.raises(ValueError, match="first") as caught:
        client.circle(origexc="quiet")

    assert str(caught.value.__cause__) == "second"


def test_raising_what_is_no_exception(client: Any) -> None:
    """What cannot be raised gives Python's own error."""
    with pytest.raises(TypeError, match="must derive from BaseException"):
        client.throw(5, origexc="quiet")
