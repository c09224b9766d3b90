"""Values whose own pickles would not do: named tuples without a name, exceptions with constructors of their own."""

from __future__ import annotations

import collections
import os
import shutil
import sys
import time
from typing import Any

import pytest

from easycluster import Client, define_common
from helpers.pythons import every_python, find_pythons
from helpers.sshd import Sshd

DEFINITIONS = """
import collections

class Particular(Exception):
    def __init__(self, *, code):
        super().__init__('code %d' % code)
        self.code = code

class OwnText(OSError):
    def __init__(self, name):
        super().__init__(2, 'no such thing: ' + name, name)

def echo(value):
    return value

def get_local_tuple():
    return [collections.namedtuple('Local', 'first second')(1, [2])]

def get_errors():
    return [Particular(code=3), {'key': (OwnText('n'), Particular(code=4))}]
"""


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


def check_tuples(client: Any, version: str) -> None:
    """What every host has arrives as an equal tuple with its fields, and can be sent back."""
    found = client.sys.version_info.value
    assert found[:2] == tuple(map(int, version.split(".")))
    assert (found.major, found.releaselevel) == (3, found[3])
    assert client.echo(found) == found
    assert client.sys.flags.value.optimize == 0
    assert client.shutil.disk_usage("/").total == shutil.disk_usage("/").total
    assert client.eval("get_local_tuple()[0].second") == [2]
    assert client.get_local_tuple() == [(1, [2])]
    assert client.get_local_tuple()[0].first == 1
    assert client.os.stat("/").st_ino == os.stat("/").st_ino
    assert client.os.stat("/").st_mtime_ns == os.stat("/").st_mtime_ns
    assert client.os.uname() == os.uname()
    assert client.time.gmtime(0) == time.gmtime(0)
    assert client.time.gmtime(0).tm_zone == time.gmtime(0).tm_zone
    assert client.eval("__import__('os').terminal_size((80, 24))").columns == 80
    assert client.eval("__import__('pwd').getpwuid(0)").pw_name == "root"
    assert client.eval("__import__('resource').getrusage(0)").ru_maxrss > 0
    for value in (sys.version_info, sys.float_info, os.stat("/"), time.gmtime(0), os.terminal_size((80, 24))):
        assert client.echo(value) == value
        assert type(value).__name__ in client.call("repr", value)


def check_errors(client: Any) -> None:
    """Exceptions whose constructors do not take their arguments arrive as they were, in both directions."""
    first, (second, third) = (pair := client.get_errors())[0], pair[1]["key"]
    for error, code in ((first, 3), (third, 4)):
        assert (type(error).__name__, str(error), error.code) == ("Particular", f"code {code}", code)
    assert (second.errno, second.filename, str(second)) == (2, "n", "[Errno 2] no such thing: n: 'n'")
    copies = client.echo({"errors": [first, (second,)]})["errors"]
    assert repr(copies) == repr([first, (second,)])
    assert copies[0].code == 3
    assert client.call("str", third) == "code 4"


def test_tuples(client: Any) -> None:
    """Named tuples and struct sequences are equal tuples with the same fields here, whatever their class is called."""
    check_tuples(client, f"3.{sys.version_info[1]}")


def test_errors(client: Any) -> None:
    """Exceptions are rebuilt as those that are raised, wherever in a value they stand."""
    check_errors(client)


@pytest.mark.needs_sshd
@every_python()
def test_other_pythons(sshd: Sshd, version: str) -> None:
    """It is the same with each Python on the host."""
    define_common(DEFINITIONS)
    way: Any = {"host": "h", "ssh": True, "rpython": find_pythons()[version], "extra_args": sshd.options}
    with Client(**way) as client:
        check_tuples(client, version)
        check_errors(client)


def test_tuples_of_the_script(client: Any) -> None:
    """A class of named tuples that is local to the script goes along: tuples of it are its instances there and here."""
    local: Any = collections.namedtuple("local", "a b")  # noqa: PYI024 -- its class is what is tested

    assert client.call(lambda value: isinstance(value, local), local(1, 2))
    assert type(client.echo(local(1, 2))) is local


@pytest.mark.needs_sshd
@pytest.mark.needs_pythons("python3.8")
def test_tuples_of_the_script_elsewhere(sshd: Sshd) -> None:
    """Under another Python, which could not run the code of the class, an equal tuple with its fields arrives."""
    define_common(DEFINITIONS)
    local: Any = collections.namedtuple("local", "a b")  # noqa: PYI024 -- its class is what is tested
    way: Any = {"host": "h", "ssh": True, "rpython": find_pythons()["3.8"], "extra_args": sshd.options}
    with Client(**way) as client:
        assert client.call("getattr", local(1, 2), "b") == 2
        assert client.echo([local(1, 2)]) == [(1, 2)]


def test_no_wrong_advice(client: Any) -> None:
    """An error about a tuple or an exception does not advise to let all of them stay on the server."""
    client.execblock("import collections, threading; Locked = collections.namedtuple('Locked', 'lock')")

    for value in ("Locked(threading.Lock())", "ValueError(threading.Lock())"):
        with pytest.raises(TypeError, match="cannot be sent") as caught:
            client.eval(value, origexc="quiet")
        assert "make_server_class" not in str(caught.value)
