from __future__ import annotations

import inspect
import pickle
import sys
from typing import Any

import pytest

from easycluster_protocol import errors
from easycluster_protocol.errors import EasyClusterError, RemoteException, RemoteTraceback, UnknownRemoteError

CLASSES = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, EasyClusterError)
]

#: What scripts that know nothing of EasyCluster already catch.
BUILTIN_BASES: dict[str, list[Any]] = {
    "SpecError": [ValueError],
    "KeyFileError": [ValueError],
    "ConnectError": [OSError],
    "AuthenticationError": [PermissionError, errors.ConnectError],
    "VersionError": [OSError, errors.ConnectError],
    "CallCancelled": [],
    "CallTimeout": [TimeoutError],
    "ConnectionLost": [ConnectionError, EOFError, OSError],
    "CallNotSent": [errors.ConnectionLost],
    "OutcomeUnknown": [errors.ConnectionLost],
    "ProtocolError": [ConnectionError],
    "LocalProtocolError": [errors.ProtocolError],
    "RemoteProtocolError": [errors.ProtocolError],
    "SerializationError": [pickle.PicklingError, TypeError],
    "DeserializationError": [pickle.UnpicklingError, ValueError],
    "UntrustedResult": [errors.DeserializationError],
    "DefinitionError": [ImportError],
    "CompletionError": [RuntimeError],
    "RemoteException": [],
    "RemoteTraceback": [],
    "UnknownRemoteError": [],
    "EasyClusterError": [],
}


def test_every_class_is_tested() -> None:
    """Every error of EasyCluster is one of those below."""
    assert {each.__name__ for each in CLASSES} == set(BUILTIN_BASES)


@pytest.mark.parametrize("kind", CLASSES)
def test_bases(kind: type[Exception]) -> None:
    """Every error is an EasyClusterError, and what scripts catch already."""
    assert all(issubclass(kind, base) for base in (EasyClusterError, *BUILTIN_BASES[kind.__name__]))


@pytest.mark.parametrize("kind", CLASSES)
def test_the_module_draws_the_tree(kind: type[Exception]) -> None:
    """The tree in the documentation of the module holds every class."""
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", [each for each in CLASSES if not each.__name__.startswith("Remote")])
def test_errors_travel(kind: type[Exception]) -> None:
    """An error of EasyCluster can be pickled, and shows its text."""
    error = pickle.loads(pickle.dumps(kind("what, where, and what to do")))

    assert type(error) is kind
    assert str(error) == "what, where, and what to do"


TRACE = ["Traceback (most recent call last):\n", '  File "x.py", line 1, in f\n', "ValueError: no\n"]


def test_remote_exception() -> None:
    """A RemoteException carries the exception and its stack trace, shows the latter, and can be pickled."""
    original = ValueError("no")
    error = RemoteException(original, tuple(TRACE))
    copy = pickle.loads(pickle.dumps(error))

    assert error.orig is original
    assert error.text == copy.text == TRACE
    assert str(error) == str(copy) == "".join(TRACE).rstrip("\n")
    assert repr(copy.orig) == "ValueError('no')"


def test_remote_exception_without_text() -> None:
    """Where there is no stack trace, the exception itself is shown."""
    assert str(RemoteException(ValueError("no"), [])) == "ValueError('no')"


def test_remote_traceback() -> None:
    """A RemoteTraceback knows the host, shows the stack trace, and can be pickled; it names the host where no note of
    the exception does, before Python 3.11."""
    error = pickle.loads(pickle.dumps(RemoteTraceback("host1:9999", TRACE)))

    assert (error.host, error.text) == ("host1:9999", TRACE)
    where = "the stack trace there:" if sys.version_info >= (3, 11) else "on host1:9999"
    assert str(error) == where + "\n" + "".join(TRACE).rstrip("\n")


def test_unknown_remote_error() -> None:
    """The stand-in for a class that is unknown says nothing of its own."""
    error = UnknownRemoteError("no")

    assert (error.remote_type, error.reason, str(error)) == ("", None, "no")
