from __future__ import annotations

import asyncio
import dataclasses
import pickle
import pickletools
import subprocess
import sys
import threading
import traceback
from types import ModuleType
from typing import Any, NoReturn

import pytest

from easycluster_protocol._values import failures
from easycluster_protocol._values.failures import pack_exception, unpack_exception
from easycluster_protocol.errors import RemoteTraceback, UnknownRemoteError


@pytest.fixture(autouse=True)
def nothing_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests may have imported cloudpickle in this process; here nothing has come by value."""
    monkeypatch.delitem(sys.modules, "cloudpickle", raising=False)


PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def journey(error: BaseException, protocol: int = 5) -> tuple[BaseException, list[str]]:
    """Send an exception to another end, which is this one."""
    return unpack_exception(pack_exception(error, protocol), "host1:9999")


def arrived(error: BaseException) -> BaseException:
    """The exception that arrives, with its stack trace."""
    return journey(error)[0]


def raised(error: BaseException) -> BaseException:
    """The exception with a stack trace."""
    try:
        raise error
    except BaseException as caught:
        return caught


class TwoArguments(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class OwnText(ValueError):
    """Takes anything as its argument, and so takes its own text for an argument when it is unpickled."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no such thing: {name}")


class Holder(LookupError):
    """Holds what cannot be pickled."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.lock = threading.Lock()
        self.count = 3


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Falsy(Exception):
    def __bool__(self) -> bool:
        return False


# What arrives as it was.


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        ValueError(),
        KeyError("k"),
        FileNotFoundError(2, "No such file", "x.txt"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        StopIteration(7),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        subprocess.CalledProcessError(1, ["false"]),
        TwoArguments(4, "gone"),
        OwnText("x"),
        Frozen(5),
        Falsy("f"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_exceptions_arrive(error: BaseException, protocol: int) -> None:
    """An exception arrives with class, arguments, attributes and text, however its constructor is made."""
    found, text = journey(raised(error), protocol)

    assert type(found) is type(error)
    assert found.args == error.args
    assert found.__dict__ == error.__dict__
    assert str(found) == str(error)
    assert text[0].startswith("Traceback")
    assert text[-1] == traceback.format_exception_only(type(error), error)[-1]


def test_the_stack_trace_is_the_last_cause() -> None:
    """The remote stack trace hangs at the exception as its cause, so an uncaught one shows both."""
    found, text = journey(raised(ValueError("no")))

    cause = found.__cause__
    assert isinstance(cause, RemoteTraceback)
    assert (cause.host, cause.text) == ("host1:9999", text)
    assert "test_failures.py" in "".join(text)
    assert "the stack trace there:" in "".join(traceback.format_exception(type(found), found, None))


@pytest.mark.parametrize("error", [Holder(), Holder("text", 5)])
def test_attributes_that_cannot_be_pickled(error: Holder) -> None:
    """A value that cannot be pickled arrives as its repr, and the rest of the exception as it was."""
    found = arrived(error)

    assert isinstance(found, Holder)
    assert found.args == error.args
    assert found.count == 3
    assert "lock" in found.__dict__["lock"]


def test_arguments_that_cannot_be_pickled() -> None:
    """An argument that cannot be pickled arrives as its repr."""
    lock = threading.Lock()

    found = arrived(ValueError("locked", lock, b"x", 1.5, None))

    assert type(found) is ValueError
    assert found.args == ("locked", repr(lock), b"x", 1.5, None)


def test_arguments_without_a_repr() -> None:
    """An argument that can neither be pickled nor shown arrives as the name of its class."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    assert arrived(ValueError(Mute())).args == ("<Mute>",)


def test_text_of_a_class_that_cannot_be_pickled() -> None:
    """A str of a local class is no plain str, and arrives as its repr."""

    class Text(str):
        __slots__ = ()

    assert arrived(ValueError(Text("text"))).args == ("'text'",)


def test_arguments_whose_repr_is_an_address() -> None:
    """An argument whose copies look different is no reason to doubt the exception."""
    found = arrived(ValueError(pickle.PickleError("inner"), Plain()))

    assert isinstance(found.args[1], Plain)


class Plain:
    """Its repr holds its address."""


# Classes that do not exist where the exception arrives.


@pytest.fixture
def foreign() -> ModuleType:
    """A module that only the sender has: `vanish` takes it away."""
    module = ModuleType("only_on_the_server")
    sys.modules[module.__name__] = module
    return module


def define(module: ModuleType, *bases: type) -> Any:
    """A class of exceptions in that module."""
    kind = type("Special", bases, {"__module__": module.__name__})
    module.Special = kind  # type: ignore[attr-defined]  # made here
    return kind


def arrived_elsewhere(module: ModuleType, error: BaseException) -> BaseException:
    """The exception that arrives where its module does not exist."""
    body = pack_exception(error, 5)
    del sys.modules[module.__name__]
    return unpack_exception(body, "h")[0]


@pytest.mark.parametrize(
    "base",
    [
        ValueError,
        KeyError,
        OSError,
        FileNotFoundError,
        ImportError,
        UnicodeDecodeError,
        SyntaxError,
        ZeroDivisionError,
        Exception,
    ],
)
def test_unknown_classes(foreign: ModuleType, base: type[Exception]) -> None:
    """In place of an unknown class stands one of its name and text, which is caught as its nearest builtin."""
    error = define(foreign, base)
    text = str(error("no")) if base is not UnicodeDecodeError else "can't decode"
    instance = (
        error("no") if base is not UnicodeDecodeError else error("utf-8", b"\xff", 0, 1, "can't decode")
    )

    found = arrived_elsewhere(foreign, instance)

    assert isinstance(found, base)
    assert isinstance(found, UnknownRemoteError)
    assert type(found).__name__ == "Special"
    assert found.remote_type == "only_on_the_server.Special"
    assert found.reason is not None
    assert "only_on_the_server" in found.reason
    assert text in str(found)
    assert "Special: " not in str(found)
    assert traceback.format_exception_only(type(found), found)[-1].startswith("only_on_the_server.Special: ")


@pytest.mark.parametrize("base", [BaseException, SystemExit, KeyboardInterrupt])
def test_unknown_classes_that_are_no_errors(foreign: ModuleType, base: type[BaseException]) -> None:
    """An unknown class that would leave everything is an Exception where it arrives, and says what it was."""
    found = arrived_elsewhere(foreign, define(foreign, base)("bye"))

    assert isinstance(found, UnknownRemoteError)
    assert not isinstance(found, base) or base is BaseException
    assert (found.remote_type, str(found)) == ("only_on_the_server.Special", "bye")


def test_a_stand_in_travels_on(foreign: ModuleType) -> None:
    """A stand-in that is sent on, to a third end, is what it was: name, text and base."""
    found = arrived(arrived_elsewhere(foreign, define(foreign, ValueError)("no")))

    assert isinstance(found, ValueError)
    assert isinstance(found, UnknownRemoteError)
    assert (found.remote_type, str(found)) == ("only_on_the_server.Special", "no")


def test_local_classes_have_a_stand_in() -> None:
    """A class that cannot be pickled, because it was defined in a function, arrives as a stand-in."""

    class Local(KeyError):
        pass

    found = arrived(Local("k"))

    assert isinstance(found, KeyError)
    assert isinstance(found, UnknownRemoteError)
    assert str(found) == "'k'"
    assert found.remote_type.endswith("test_failures.Local")


def test_a_class_of_the_same_name_that_is_no_exception(foreign: ModuleType) -> None:
    """Where the name stands for something else, the exception arrives as a stand-in."""
    body = pack_exception(define(foreign, ValueError)("no"), 5)
    foreign.Special = lambda *args: "no exception"  # type: ignore[attr-defined]  # made by define
    try:
        found, _ = unpack_exception(body, "h")
    finally:
        del sys.modules[foreign.__name__]

    assert isinstance(found, UnknownRemoteError)
    assert found.reason == "its pickle is not an exception here"


# Notes, chains, groups.


def test_notes() -> None:
    """Notes arrive, as those that Python 3.11 shows, also beside attributes that cannot be pickled."""
    for error in (ValueError("no"), Holder("no")):
        error.__dict__["__notes__"] = ["first", "second"]

        assert arrived(error).__dict__["__notes__"] == ["first", "second"]


def test_notes_of_a_wrong_kind() -> None:
    """Something else under the name of the notes does no harm."""
    error = Holder("no")
    error.__dict__["__notes__"] = 12

    found = arrived(error)

    assert type(found) is Holder
    assert "__notes__" not in found.__dict__


def chained() -> BaseException:
    """An exception with a cause that has a context."""
    try:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise ValueError("second")  # noqa: B904 -- the context is what is tested
        except ValueError as error:
            raise TypeError("third") from error
    except TypeError as error:
        return error


def test_causes_and_contexts() -> None:
    """Causes and contexts arrive as such; the remote stack trace is the cause of the first that has none of its own."""
    found, text = journey(chained())

    assert repr(found) == "TypeError('third')"
    second = found.__cause__
    assert repr(second) == "ValueError('second')"
    assert second is not None
    assert isinstance(second.__cause__, RemoteTraceback)
    assert not second.__suppress_context__
    first = second.__context__
    assert repr(first) == "KeyError('first')"
    assert first is not None
    assert first.__cause__ is None
    assert sum(line.startswith("Traceback") for line in text) == 3


def test_implicit_chaining() -> None:
    """The remote stack trace is the cause of an exception that was raised while another was handled; a script
    that prints it shows each of the two once."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904 -- this is the case
    except ValueError as error:
        found = arrived(error)

    assert isinstance(found.__cause__, RemoteTraceback)
    assert repr(found.__context__) == "KeyError('first')"
    printed = "".join(traceback.format_exception(type(found), found, None))
    assert printed.count("KeyError: 'first'") == 1
    assert printed.count("During handling") == 1


def test_from_none() -> None:
    """An exception that ``raise ... from None`` hides stays hidden, and the remote stack trace is shown."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None
    except ValueError as error:
        found = arrived(error)

    assert found.__suppress_context__
    assert repr(found.__context__) == "KeyError('first')"
    assert isinstance(found.__cause__, RemoteTraceback)


def test_from_none_twice() -> None:
    """Each exception of a chain that hides its context hides it at the receiver, too."""
    first, second, third = ValueError("first"), TypeError("second"), KeyError("third")
    third.__context__, third.__suppress_context__ = second, True
    second.__context__, second.__suppress_context__ = first, True

    found = arrived(third)

    assert found.__suppress_context__
    assert repr(found.__context__) == "TypeError('second')"
    assert found.__context__ is not None
    assert found.__context__.__suppress_context__


def test_long_chains() -> None:
    """Of a long chain the beginning arrives, and its text whole."""
    error: BaseException | None = None
    for number in range(100):
        link = ValueError(number)
        link.__context__ = error
        error = link
    assert error is not None

    found, text = journey(error)

    assert isinstance(found.__cause__, RemoteTraceback)
    count = 0
    while isinstance(found, ValueError):
        found, count = found.__context__, count + 1  # type: ignore[assignment]  # ends below
    assert found is None
    assert count == failures._MAX_CHAIN_LINKS
    assert "ValueError: 0\n" in text


def test_circles() -> None:
    """A chain that leads back to itself is cut where it does."""
    first, second = ValueError("first"), TypeError("second")
    first.__cause__, second.__cause__ = second, first

    found = arrived(first)

    assert found.__cause__ is not None
    assert isinstance(found.__cause__.__cause__, RemoteTraceback)


@pytest.mark.parametrize("kind", [Frozen, Falsy])
def test_chains_of_classes_of_their_own_mind(kind: type[Exception]) -> None:
    """Classes whose instances cannot be changed, or are not true, have causes and contexts like others."""
    error, cause, context = kind(1), kind(2), kind(3)
    BaseException.__setattr__(error, "__cause__", cause)
    BaseException.__setattr__(cause, "__context__", context)

    found = arrived(error)

    assert found.__cause__ is not None
    assert found.__cause__.args == (2,)
    assert found.__cause__.__context__ is not None
    assert isinstance(found.__cause__.__cause__, RemoteTraceback)


if sys.version_info >= (3, 11):  # noqa: UP036 -- the tests run on 3.10 too

    def test_groups() -> None:
        """A group arrives with all that is in it."""
        group = ExceptionGroup(
            "both", [ValueError("no"), ExceptionGroup("inner", [Holder("h"), OSError(2, "x")])]
        )

        found, text = journey(raised(ExceptionGroup("both", [ValueError("no"), OSError(2, "x")])))

        assert isinstance(found, ExceptionGroup)
        assert [repr(each) for each in found.exceptions] == ["ValueError('no')", "FileNotFoundError(2, 'x')"]
        assert "ValueError: no" in "".join(text)
        assert "Holder" in "".join(journey(raised(group))[1])

    def test_groups_without_members() -> None:
        """Where only the bases of a group are known, its stand-in has the next base that needs no more than a text."""
        body = body_without_pickle("ExceptionGroup", "BaseExceptionGroup", "ValueError")

        found, _ = unpack_exception(body, "h")

        assert isinstance(found, ValueError)
        assert isinstance(found, UnknownRemoteError)
        assert not isinstance(found, BaseExceptionGroup)

    def test_groups_that_cannot_be_pickled() -> None:
        """A group arrives as a group, also when some of its exceptions, at any depth, arrive as stand-ins."""

        class Local(OSError):
            """Cannot be pickled."""

        locked: Any = PermissionError(13, "locked", "file")
        locked.lock = threading.Lock()
        inner = ExceptionGroup("inner", [locked, KeyError(1)])
        found, text = journey(
            raised(ExceptionGroup("both", [ValueError("no"), Local(5, "five", "file"), inner]))
        )

        assert type(found) is ExceptionGroup
        members: Any = found.exceptions
        no, stand_in, group = members
        assert (type(no), type(stand_in).__name__, type(group)) == (ValueError, "Local", ExceptionGroup)
        assert issubclass(type(stand_in), UnknownRemoteError)
        assert (stand_in.errno, stand_in.strerror, stand_in.filename) == (5, "five", "file")
        assert [type(each) for each in group.exceptions] == [PermissionError, KeyError]
        assert group.exceptions[0].errno == 13
        assert "ValueError: no" in "".join(text)

    def test_notes_are_in_the_text() -> None:
        """Where Python shows notes, the remote stack trace shows them."""
        error = ValueError("no")
        error.add_note("a note")

        assert "a note\n" in journey(raised(error))[1]


# Exceptions that resist.


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoRepr(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class NoReduce(Exception):
    def __reduce__(self) -> NoReturn:
        raise RuntimeError("no pickle")


class Leaving(Exception):
    def __reduce__(self) -> NoReturn:
        raise SystemExit("leave")

    def __str__(self) -> NoReturn:
        raise SystemExit("leave")


class Recursing(Exception):
    def __reduce__(self) -> Any:
        return self.__reduce__()


class RecursingDeeply(Exception):
    def __reduce__(self) -> Any:
        return RecursingDeeply, (RecursingDeeply(),)


class Lying(Exception):
    """Its pickle gives something else."""

    def __reduce__(self) -> Any:
        return str, ("not what you think",)


class ForeignModule(ValueError):
    __module__ = 12  # type: ignore[assignment]  # a mistake of a user's


class NoDict(Exception):
    """Forbids everything."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            raise RuntimeError("no attributes")
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "kind", [NoText, NoRepr, NoReduce, Leaving, Recursing, RecursingDeeply, Lying, ForeignModule, NoDict]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_hostile_exceptions(kind: type[Exception], protocol: int) -> None:
    """However badly an exception behaves when it is described or pickled, one of its name arrives, with the stack trace."""
    found, text = journey(raised(kind("what")), protocol)

    assert type(found).__name__ == kind.__name__
    assert isinstance(found, Exception)
    assert "Traceback" in text[0]
    last: BaseException = found
    while last.__cause__ is not None:
        last = last.__cause__
    assert isinstance(last, RemoteTraceback)


def test_a_trace_that_cannot_be_formatted(monkeypatch: pytest.MonkeyPatch) -> None:
    """When even the stack trace cannot be made, type and text are sent."""

    def fail(*args: object) -> NoReturn:
        raise RecursionError

    monkeypatch.setattr(traceback, "format_exception", fail)

    assert journey(ValueError("no"))[1] == ["ValueError: no\n"]


@pytest.mark.parametrize("place", ["pickle", "text"])
def test_an_interrupt_is_no_property_of_the_exception(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real Ctrl-C while an exception is packed is not taken for a fault of that exception."""

    def interrupt(*args: object) -> NoReturn:
        raise KeyboardInterrupt

    if place == "pickle":
        monkeypatch.setattr(failures, "dumps", interrupt)
    error = type("Slow", (Exception,), {"__str__": interrupt if place == "text" else Exception.__str__})()

    with pytest.raises(KeyboardInterrupt):
        pack_exception(error, 5)


def test_an_interrupt_while_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real Ctrl-C while an exception is rebuilt is not taken for a fault of that exception either."""
    body = pack_exception(ValueError("no"), 5)

    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(failures, "loads_result", interrupt)

    with pytest.raises(KeyboardInterrupt):
        unpack_exception(body, "h")


# The body on the wire.


def test_the_body_is_made_of_plain_values() -> None:
    """The body of a FAILURE message names no class, so that any peer can read it."""
    holder = Holder("no")
    vars(holder).update(plain=5, long="x" * 5000, other=[1])
    body = pack_exception(raised(holder), 5)

    assert not {"GLOBAL", "STACK_GLOBAL", "REDUCE"} & {code.name for code, _, _ in pickletools.genops(body)}
    (link,) = pickle.loads(body)
    assert {name: value for name, value in link.items() if name not in ("pickled", "text")} == {
        "type": "Holder",
        "module": __name__,
        "message": "no",
        "bases": ["LookupError", "Exception", "BaseException", "object"],
        "reason": None,
        "attributes": {"count": 3, "plain": 5},
        "relation": "context",
        "suppress": False,
    }
    assert isinstance(link["pickled"], bytes)
    assert link["text"][-1].endswith("Holder: no\n")


def body_without_pickle(*bases: str) -> bytes:
    """The body of an exception that has these bases, of a peer that cannot pickle."""
    return pickle.dumps(
        [
            {
                "type": "NotFound",
                "module": "peer",
                "message": "gone",
                "bases": bases,
                "pickled": None,
                "reason": "not Python",
                "relation": "cause",
                "suppress": True,
                "text": ["NotFound: gone\n"],
            }
        ],
        2,
    )


def test_a_body_of_a_peer_that_is_no_python() -> None:
    """A peer that sends type, bases and text only is understood."""
    found, text = unpack_exception(body_without_pickle("Unheard", "print", "LookupError"), "h")

    assert isinstance(found, LookupError)
    assert isinstance(found, UnknownRemoteError)
    assert (str(found), found.remote_type, found.reason) == ("gone", "peer.NotFound", "not Python")
    assert text == ["NotFound: gone\n"]


@pytest.mark.parametrize("others", [[], ["easycluster_client"]])
@pytest.mark.parametrize("is_server", [True, False])
def test_traceback_is_warmed_up_on_servers(is_server: bool, others: list[str]) -> None:
    """A server prepares stack traces when it imports this, whatever else its process has imported."""
    modules = [*others, *(["easycluster_server._serving.session"] if is_server else [])]
    script = (
        "import sys, traceback, types\n"
        "formatted = []\n"
        "traceback.format_exception = lambda *error: formatted.append(error) or []\n"
        f"sys.modules.update((name, types.ModuleType(name)) for name in {modules!r})\n"
        "import easycluster_protocol._values.failures\n"
        "print(len(formatted))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout

    assert printed == f"{int(is_server)}\n"
