"""Exceptions as values: rebuilt without their constructor where that would not do."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest

from easycluster_protocol._values.exceptions import choose_for_exceptions
from easycluster_protocol._values.reductions import dumps_value

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


class Keyword(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class OwnText(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(f"no such thing: {name}")


class NoText(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.sum = first + second


class OnDisk(OSError):
    def __init__(self, path: str, *, more: Any = None) -> None:
        super().__init__(28, "disk full", path)
        self.more = more


class NotImportable(ImportError):
    def __init__(self, missing: str) -> None:
        super().__init__("cannot import", name=missing, path="/p")


class Ending(StopIteration):
    def __init__(self, *, value: int) -> None:
        super().__init__(value)


class Undecodable(UnicodeDecodeError):
    def __init__(self, place: int) -> None:
        super().__init__("utf-8", b"\xff", place, 1, "invalid")


class Unfinished(UnicodeDecodeError):
    def __init__(self) -> None:
        self.note = "its base was never asked"


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int
    more: str = "m"


class New(Exception):
    def __new__(cls, *, code: int) -> Any:
        return super().__new__(cls, "made", code)

    def __init__(self, *, code: int) -> None:
        self.code = code


class Shadowed(Exception):
    @property
    def code(self) -> int:
        return int(vars(self)["code"])

    def __init__(self, *, code: int) -> None:
        vars(self)["code"] = code

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class Failing(Exception):
    def __init__(self, *args: object) -> None:
        super().__init__(*args, "one more")
        if len(args) != 1:
            raise SystemExit("no constructor may end this process")


ERRORS = [
    Keyword(code=3),
    OwnText("x"),
    NoText(1, 2),
    OnDisk("/full", more=[1]),
    NotImportable("m"),
    Ending(value=7),
    Undecodable(0),
    Frozen(5),
    New(code=5),
    Shadowed(code=6),
    Failing("text"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_rebuilt(error: BaseException, protocol: int) -> None:
    """The class, the arguments, the text and the attributes are the same, in a container too."""
    (copy,) = pickle.loads(dumps_value([error], protocol))

    assert type(copy) is type(error)
    assert copy.args == error.args
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    for name in ("errno", "strerror", "filename", "name", "path", "value", "start", "encoding", "code"):
        assert getattr(copy, name, None) == getattr(error, name, None)


def test_unfinished() -> None:
    """An exception whose base was never told anything is rebuilt as far as it goes."""
    copy = pickle.loads(dumps_value(Unfinished(), 4))

    assert (type(copy), copy.args, copy.note) == (Unfinished, (), "its base was never asked")


@pytest.mark.parametrize("kind", [Keyword, Frozen])
def test_exceptions_that_hold_themselves(kind: Any) -> None:
    """An exception that is an attribute of its attribute stays one."""
    error = kind(code=1)
    vars(error)["itself"] = [error]

    copy = pickle.loads(dumps_value(error, 4))

    assert copy.itself[0] is copy


def test_python_knows_its_own() -> None:
    """Exceptions of Python's own classes, and of classes that change nothing, are pickled as always."""
    plain: Any = type("Plain", (KeyError,), {})

    assert choose_for_exceptions(KeyError, 4) is None
    assert choose_for_exceptions(OSError, 4) is None
    assert choose_for_exceptions(plain, 4) is None
    assert choose_for_exceptions(Keyword, 4) is not None


class Fitting(Exception):
    """Its constructor fits, and does more than its arguments say."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.cells = [text]


class ByName(Exception):
    def __reduce__(self) -> str:
        return "the_only_one"


the_only_one = ByName("there is one")


def test_a_constructor_that_fits() -> None:
    """A constructor that takes the arguments is called."""
    assert b"rebuild" not in dumps_value(Fitting("t"), 4)
    assert pickle.loads(dumps_value(Fitting("t"), 4)).cells == ["t"]
    assert pickle.loads(dumps_value(the_only_one, 4)) is the_only_one


def test_an_interrupt_is_no_misfit() -> None:
    """A Ctrl-C while a constructor is tried ends the pickling."""

    class Interrupted(Exception):
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dumps_value(Interrupted(), 4)


def test_rebuilt_elsewhere() -> None:
    """Another process needs nothing but the class."""
    body = dumps_value([Keyword(code=9)], 4)
    script = "import pickle, sys; print(repr(pickle.loads(sys.stdin.buffer.read())[0].code))"
    result = subprocess.run([sys.executable, "-c", script], input=body, capture_output=True, check=True)

    assert result.stdout == b"9\n"
