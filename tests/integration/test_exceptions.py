"""Exceptions of remote code: which are raised here, what is printed, and what they tell."""

from __future__ import annotations

import io
import sys
import traceback
from typing import Any

import pytest

from easycluster import Client, RemoteException, RemoteTraceback, define_common

UPGRADED_TOO = True
TLS_TOO = True

DEFINITIONS = '''
class Broken(Exception):
    """An exception of the definitions."""
    def __init__(self, first, second):
        super().__init__(first, second)
        self.second = second

def divide(a, b):
    quotient = a / b  # a line to be seen
    return quotient

def outer():
    return divide(1, 0)

def stop():
    raise StopIteration('the end')

def broken():
    raise Broken('one', 'two')

def chained():
    try:
        divide(1, 0)
    except ZeroDivisionError as error:
        raise ValueError('caused') from error

def in_context():
    try:
        divide(1, 0)
    except ZeroDivisionError:
        raise KeyError('meanwhile')

def suppressed():
    try:
        divide(1, 0)
    except ZeroDivisionError:
        raise KeyError('alone') from None

def noted():
    error = ValueError('with notes')
    error.add_note('first note')
    error.add_note('second note')
    raise error

def grouped():
    inner = ExceptionGroup('inner', [OSError(5, 'x')])
    raise ExceptionGroup('several', [ValueError('one'), Broken('two', 2), inner])

def leave(code):
    raise SystemExit(code)

def interrupt():
    raise KeyboardInterrupt('remote')

def fail_os():
    open('/no/such/file')

def add(a, b):
    return a + b
'''

since_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="came with Python 3.11")


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


def remote_cause(error: BaseException) -> RemoteTraceback:
    """The remote stack trace that an exception ends with."""
    last = error
    while (following := last.__cause__ or last.__context__) is not None:
        last = following
    assert isinstance(last, RemoteTraceback)
    return last


def test_original_is_raised(client: Any) -> None:
    """The exception of the remote code is raised here, with its type and arguments."""
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        client.divide(1, 0)

    assert client.divide(4, 2) == 2


def test_trace_is_printed(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """By default the remote stack trace is printed, with source lines and the name of the host."""
    with pytest.raises(ZeroDivisionError):
        client.outer()

    printed = capsys.readouterr()
    assert printed.out == ""
    assert client.peername in printed.err
    assert "Traceback (most recent call last):" in printed.err
    assert 'File "easycluster.remote_code[1]", line 9, in divide' in printed.err
    assert "    quotient = a / b  # a line to be seen\n" in printed.err
    assert "    return divide(1, 0)\n" in printed.err
    assert printed.err.endswith("ZeroDivisionError: division by zero\n")
    assert "easycluster_server" not in printed.err


def test_trace_is_the_cause(client: Any) -> None:
    """The exception's cause is the remote stack trace, so that an unhandled one shows it too."""
    with pytest.raises(ZeroDivisionError) as caught:
        client.outer(origexc="quiet")

    cause = caught.value.__cause__
    assert isinstance(cause, RemoteTraceback)
    assert cause.host == client.peername
    assert any("quotient = a / b  # a line to be seen" in line for line in cause.text)
    shown = "".join(traceback.format_exception(caught.value))
    assert f"on {client.peername}" in shown
    assert "quotient = a / b  # a line to be seen" in shown


def test_local_part_is_short(client: Any) -> None:
    """The stack trace here begins at the caller and names the call."""
    with pytest.raises(ZeroDivisionError) as caught:
        client.outer(origexc="quiet")

    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[0].name == "test_local_part_is_short"
    assert len(frames) <= 6


def test_origexc_quiet(client: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """With `origexc='quiet'` the original exception is raised and nothing printed."""
    with pytest.raises(ZeroDivisionError):
        client.divide(1, 0, origexc="quiet")

    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("closed", [False, True])
def test_trace_that_cannot_be_printed(local: Any, monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    """Without standard error, as under pythonw, or with a closed one, the exception is raised all the same."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if closed else None)

    with pytest.raises(ValueError, match="invalid literal"):
        local.int("seven")


def test_origexc_false(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With `origexc=False` a RemoteException is raised, which carries original and stack trace."""
    with pytest.raises(RemoteException) as caught:
        client.divide(1, 0, origexc=False)

    error = caught.value
    assert isinstance(error.orig, ZeroDivisionError)
    assert isinstance(error.text, list)
    assert all(isinstance(line, str) for line in error.text)
    assert error.text[0] == "Traceback (most recent call last):\n"
    assert error.text[-1] == "ZeroDivisionError: division by zero\n"
    assert "quotient = a / b" in str(error)
    assert "".join(capsys.readouterr()) == ""


@pytest.mark.parametrize("ask", ["eval", "execblock", "import_module", "raw_call", "call"])
def test_origexc_everywhere(client: Any, ask: str) -> None:
    """Every kind of call takes `origexc`."""
    calls: dict[str, tuple[Any, ...]] = {
        "eval": ("1 / 0",),
        "execblock": ("divide(1, 0)",),
        "import_module": ("no_such_module",),
        "raw_call": ("divide", [1, 0]),
        "call": ("divide", 1, 0),
    }

    with pytest.raises(RemoteException) as caught:
        getattr(client, ask)(*calls[ask], origexc=False)

    assert type(caught.value.orig) is (ModuleNotFoundError if ask == "import_module" else ZeroDivisionError)


def test_wait_chooses(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`wait` raises the same each time, and may choose how."""
    response = client.divide(1, 0, nonblocking=True)

    with pytest.raises(RemoteException):
        response.wait(origexc=False)
    with pytest.raises(ZeroDivisionError):
        response.wait(origexc="quiet")
    assert capsys.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        response.wait()
    assert "division by zero" in capsys.readouterr().err


def test_report_exception(connect: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A subclass chooses what happens with stack traces by overriding `report_exception`."""
    reported = []

    class Collecting(Client):
        """Collects instead of printing."""

        def report_exception(self, exc: RemoteException) -> None:
            reported.append(exc)

    define_common(DEFINITIONS)
    client = connect(Collecting)

    with pytest.raises(ZeroDivisionError) as caught:
        client.divide(1, 0)
    with pytest.raises(ZeroDivisionError):
        client.divide(1, 0, origexc="quiet")

    assert [type(exc.orig) for exc in reported] == [ZeroDivisionError]
    assert reported[0].orig is caught.value
    assert isinstance(reported[0].text, list)
    assert capsys.readouterr().err == ""


def test_stop_iteration(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """StopIteration is no accident: it is raised, and nothing printed."""
    with pytest.raises(StopIteration) as caught:
        client.stop()

    assert caught.value.value == "the end"
    assert "".join(capsys.readouterr()) == ""


def test_definitions_exception(client: Any) -> None:
    """An exception of the definitions with a constructor of its own arrives as itself."""
    from easycluster.remote_code import Broken

    with pytest.raises(Broken) as caught:
        client.broken(origexc="quiet")

    assert caught.value.args == ("one", "two")
    assert caught.value.second == "two"


def test_cause(client: Any) -> None:
    """The cause of an exception arrives with it, and the stack trace is at the end of the chain."""
    with pytest.raises(ValueError, match="caused") as caught:
        client.chained(origexc="quiet")

    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.__cause__.__cause__ is remote_cause(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "The above exception was the direct cause" in shown
    assert "quotient = a / b" in shown


def test_context(client: Any) -> None:
    """The context of an exception arrives with it."""
    with pytest.raises(KeyError, match="meanwhile") as caught:
        client.in_context(origexc="quiet")

    assert isinstance(caught.value.__context__, ZeroDivisionError)
    assert not caught.value.__suppress_context__
    shown = "".join(traceback.format_exception(caught.value))
    assert "During handling of the above exception" in shown
    assert "quotient = a / b" in shown


def test_suppressed_context(client: Any) -> None:
    """`raise ... from None` hides the context here too, and not the remote stack trace."""
    with pytest.raises(KeyError, match="alone") as caught:
        client.suppressed(origexc="quiet")

    shown = "".join(traceback.format_exception(caught.value))
    assert "ZeroDivisionError" not in shown
    assert "in suppressed" in shown


@since_3_11
def test_notes(client: Any) -> None:
    """Notes arrive with their exception, and in the printed trace; one more names the host."""
    with pytest.raises(RemoteException) as caught:
        client.noted(origexc=False)

    assert caught.value.orig.__notes__ == ["first note", "second note", f"on {client.peername}"]
    assert "second note" in str(caught.value)


@since_3_11
def test_exception_group(client: Any) -> None:
    """A group arrives as a group of the original exceptions."""
    from easycluster.remote_code import Broken

    with pytest.raises(Exception, match="several") as caught:
        client.grouped(origexc="quiet")

    group: Any = caught.value
    names = [type(error).__name__ for error in group.exceptions]
    assert type(group).__name__ == "ExceptionGroup"
    assert names == ["ValueError", "Broken", "ExceptionGroup"]
    assert isinstance(group.exceptions[1], Broken)
    assert repr(group.exceptions[2].exceptions) == "(OSError(5, 'x'),)"
    assert client.add(1, 2) == 3


def test_system_exit(client: Any) -> None:
    """SystemExit is raised here and does not end the server."""
    with pytest.raises(SystemExit) as caught:
        client.leave(3, origexc="quiet")

    assert caught.value.code == 3
    assert client.add(1, 2) == 3


def test_keyboard_interrupt(client: Any) -> None:
    """A KeyboardInterrupt of remote code is raised here and does not end the server."""
    with pytest.raises(KeyboardInterrupt, match="remote"):
        client.interrupt(origexc="quiet")

    assert client.add(1, 2) == 3


def test_os_error(client: Any) -> None:
    """An OSError arrives as its own subclass, with errno and file name."""
    with pytest.raises(FileNotFoundError) as caught:
        client.fail_os(origexc="quiet")

    assert caught.value.errno == 2
    assert caught.value.filename == "/no/such/file"


def test_completion_gets_remote_exception(client: Any) -> None:
    """`onerror` is called with a RemoteException, with the tuple's further arguments after it."""
    seen = []
    response = client.divide(1, 0, onerror=(lambda error, *more: seen.append((error, more)), 1, 2))

    with pytest.raises(ZeroDivisionError):
        response.wait("quiet")

    ((error, more),) = seen
    assert isinstance(error, RemoteException)
    assert isinstance(error.orig, ZeroDivisionError)
    assert more == (1, 2)


def test_source_lines_of_blocks(client: Any) -> None:
    """Traces show the source of what `execblock` and `eval` were given, too."""
    with pytest.raises(RemoteException) as caught:
        client.execblock("x = 1\ny = x / 0  # in the block\n", origexc=False)
    assert "in the block" in str(caught.value)

    with pytest.raises(RemoteException) as caught:
        client.eval("1 / 0 + 7", origexc=False)
    assert "1 / 0 + 7" in str(caught.value)
