"""Exceptions of a process that can import nothing any more."""

from __future__ import annotations

import errno

import pytest

from easycluster import UnknownRemoteError
from easycluster_protocol._values.failures import unpack_exception
from easycluster_protocol._values.plain_failures import pack_plainly

PROBLEM = OSError(errno.EMFILE, "Too many open files")


class Custom(KeyError):
    """An exception that is not built in."""


class Refusing(ValueError):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


def raised(error: BaseException) -> BaseException:
    """The exception, with a traceback."""
    try:
        raise error
    except BaseException as same:
        return same


def test_builtin_exception() -> None:
    """A built-in exception arrives as it is, with its stack trace and the reason why that is short."""
    error, text = unpack_exception(pack_plainly(raised(OSError(errno.ENOENT, "No", "file")), 4, PROBLEM), "h")

    assert type(error) is FileNotFoundError
    assert (error.errno, error.filename) == (errno.ENOENT, "file")
    assert text[0] == "Traceback (most recent call last):\n"
    assert text[1].endswith(", in raised\n")
    assert text[2] == "FileNotFoundError: [Errno 2] No: 'file'\n"
    assert "cannot import" in text[3]
    assert "Too many open files" in text[3]


@pytest.mark.parametrize(
    ("given", "base"), [(Custom("x"), KeyError), (Refusing("x"), ValueError), (OSError(object()), OSError)]
)
def test_other_exception(given: BaseException, base: type[Exception]) -> None:
    """Of any other exception the name, the text and the built-in bases arrive."""
    error, _ = unpack_exception(pack_plainly(raised(given), 4, PROBLEM), "h")

    assert type(error).__name__ == type(given).__name__
    assert isinstance(error, base)


def test_reason_of_a_stand_in() -> None:
    """A stand-in says why the original did not come."""
    error, _ = unpack_exception(pack_plainly(Custom("x"), 4, PROBLEM), "h")

    assert isinstance(error, UnknownRemoteError)
    assert "Too many open files" in str(error.reason)
