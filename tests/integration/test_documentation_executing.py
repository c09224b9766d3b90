"""The documentation's examples of "Executing code remotely" and "Exceptions", run word for word.

What had to be mended in an example is listed in the docstring of its test. Its hosts are arranged around it, see
`helpers.documented`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from easycluster import Client, RemoteException, define_common
from helpers.documented import ADDVALS, Session, corrected
from helpers.servers import Server

DEFINE_COMMON = (
    ADDVALS
    + """\
>>> rmt.addvals(3, 4)
7
>>> rmt.subvals(15, 4)
11
"""
)

SUBPROCESS = """\
>>> rmt.subprocess.call(['/bin/echo', 'hello'])
>>>
"""

REMOTE_CODE = """\
>>> from easycluster.remote_code import addvals, subvals
>>> addvals(1, 2)
3
>>>
"""

MISSING_IMPORT = """\
>>> import os
>>> define_common('''
... def hello():
...     os.system('echo hello')
... ''')
...
>>> rmt.hello()
Traceback (most recent call last):
  ...
NameError: global name 'os' is not defined
>>>
"""

#: What a call prints that is typed.
SUBPROCESS_CORRECTED = corrected(SUBPROCESS, ("'hello'])\n", "'hello'])\n0\n"))

MISSING_IMPORT_CORRECTED = corrected(
    MISSING_IMPORT,
    (">>> rmt.hello()", ">>> rmt.update_definitions()\n>>> rmt.hello()"),
    ("global name 'os'", "name 'os'"),
)


def test_examples(documented_server: Server, session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    """The section "Executing code remotely", typed from its first line to its last.

    Mended: `rmt.subprocess.call` gives 0, which an interactive session shows; a definition that is made after
    connecting needs `rmt.update_definitions()` before `rmt.hello()`; Python 3 does not say "global name".
    """
    session.run(DEFINE_COMMON)
    session.run(SUBPROCESS_CORRECTED)
    session.run(REMOTE_CODE)
    session.run(MISSING_IMPORT_CORRECTED)

    # What echo printed appears where the server runs, and only there.
    assert "\nhello\n" in documented_server.wait_for_log("hello\n")
    printed = capfd.readouterr()
    assert "hello" not in printed.out
    assert "os.system('echo hello')" in printed.err  # the stack trace, with the line


def test_examples_over_each_transport(
    documented_server: Server, session: Session, connect: Callable[..., Any]
) -> None:
    """The same over each transport.

    Mended: as above; and `Client(key, 'localhost')` is another connection.
    """
    session.names["connect"] = connect

    session.run(corrected(DEFINE_COMMON, ("Client(key, 'localhost')", "connect()")))
    session.run(SUBPROCESS_CORRECTED)
    session.run(REMOTE_CODE)
    session.run(MISSING_IMPORT_CORRECTED)


def test_module_of_another_name(documented_server: Server, session: Session) -> None:
    """A second parameter of `define_common` is the name of the module from which functions are imported here."""
    named = corrected(DEFINE_COMMON, ("... ''')", "... ''', 'my.code')"))

    session.run(corrected(named, ("'localhost'", "'localhost', definitions='my.code'")))
    session.run(corrected(REMOTE_CODE, ("easycluster.remote_code", "my.code")))


def test_exceptions(connect: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A stack trace is printed by default; not by a subclass that overrides it, not with `origexc`."""
    define_common("def fail():\n    raise KeyError('remote')\n")

    class Silent(Client):
        """Prints nothing."""

        def report_exception(self, exc: RemoteException) -> None:
            pass

    with pytest.raises(KeyError, match="remote"):
        connect().fail()
    assert "in fail" in capsys.readouterr().err
    with pytest.raises(KeyError, match="remote"):
        connect(Silent).fail()
    with pytest.raises(KeyError, match="remote"):
        connect().fail(origexc="quiet")
    with pytest.raises(RemoteException) as caught:
        connect().fail(origexc=False)
    assert isinstance(caught.value.orig, KeyError)
    assert "in fail" in "".join(caught.value.text)
    assert capsys.readouterr().err == ""
