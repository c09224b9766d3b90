"""Calls of functions, and the other uses of dotted names."""

from __future__ import annotations

import os
from typing import Any

import pytest

from easycluster import define_common
from helpers.waiting import wait_until

THREADED_TOO = True
UPGRADED_TOO = True
TLS_TOO = True

DEFINITIONS = """
import os

class settings:
    limit = 10
    class inner:
        name = 'deep'

counter = 1

def add(a, b=2):
    return a + b

def echo(*args, **kwargs):
    return args, kwargs

def limit():
    return settings.limit

def sorted(values):
    return 'ours'

def __hidden__():
    return 'called'
"""


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


def test_function(client: Any) -> None:
    """A function of the definitions is called with positional and keyword arguments."""
    assert client.add(1) == 3
    assert client.add(1, b=5) == 6
    assert client.add(a=1, b=2) == 3


def test_runs_in_another_process(client: Any) -> None:
    """Functions run in a process of their own, always the same."""
    first = client.os.getpid()

    assert first != os.getpid()
    assert client.os.getpid() == first


def test_call(client: Any) -> None:
    """`call` takes the name as text, dots included."""
    assert client.call("add", 1, b=1) == 2
    assert client.call("posixpath.join", "a", "b") == "a/b"


def test_raw_call(client: Any) -> None:
    """`raw_call` takes arguments apart from options, so that every keyword can reach the function."""
    options = {"nonblocking": 1, "origexc": 2, "threadid": 3, "oncomplete": 4, "onerror": 5}

    assert client.raw_call("add", [1], {"b": 4}) == 5
    assert client.raw_call("echo", (1,), options) == ((1,), options)
    assert client.raw_call("add", [1], nonblocking=True).wait() == 3


def test_options_by_position(client: Any) -> None:
    """Where a call has no keywords but options, these can be given by position: nonblocking, oncomplete and so on."""
    values: list[Any] = []

    assert client.eval("1 + 1", True).wait() == 2
    assert client.raw_call("add", (1,), {"b": 4}, True).wait() == 5
    assert client.execblock("exec_return(3)", False, None, None, None, "quiet") == 3
    response = client.raw_call("add", (1,), {}, False, values.append)
    assert response.wait() == 3
    wait_until(lambda: values == [3])
    assert client.send_request(0, "eval", ("1 + 1",), {}, True).wait() == 2
    assert client.import_module("json", True).wait() is None
    assert client.import_modules(["json"], True).wait() is None


def test_raw_call_knows_its_options(client: Any) -> None:
    """`raw_call` refuses keywords that are no options and says where those of the function belong."""
    with pytest.raises(TypeError, match=r"'b'.*kwargs="):
        client.raw_call("add", [1], b=4)

    assert client.add(1) == 3


@pytest.mark.parametrize("name", ["self", "name", "func", "args", "kwargs", "client", "timeout", "options"])
def test_only_five_keywords_are_reserved(client: Any, name: str) -> None:
    """Every keyword but the five documented ones reaches the function, whatever its name is."""
    assert client.echo(**{name: 1}) == ((), {name: 1})
    assert client.call("echo", **{name: 1}) == ((), {name: 1})


def test_five_reserved_keywords(client: Any) -> None:
    """The five documented keywords do not reach the function."""
    response = client.echo(1, nonblocking=True, origexc=True, threadid=0, oncomplete=None, onerror=None)

    assert response.wait() == ((1,), {})


def test_standard_library(client: Any, tmp_path: Any) -> None:
    """Functions of modules are called by their dotted names, and the modules imported for it."""
    path = tmp_path / "made"

    assert client.os.mkdir(str(path)) is None
    assert path.is_dir()
    assert client.xml.sax.saxutils.escape("<") == "&lt;"


def test_builtins(client: Any) -> None:
    """Names that are not defined are looked up in the builtins."""
    assert client.len([1]) == 1


def test_definitions_come_before_builtins(client: Any) -> None:
    """A definition hides a builtin of the same name."""
    assert client.sorted([2, 1]) == "ours"


def test_read_value(client: Any) -> None:
    """`.value` reads a global or an attribute of one."""
    assert client.counter.value == 1
    assert client.settings.limit.value == 10
    assert client.settings.inner.name.value == "deep"
    assert client.posixpath.sep.value == "/"


def test_set_value(client: Any) -> None:
    """Assigning to `.value` sets a global or an attribute of one, also one that did not exist."""
    client.counter.value = [1, 2]
    client.settings.limit.value = 20
    client.settings.inner.fresh.value = "new"
    client.another.value = 7

    assert client.counter.value == [1, 2]
    assert client.limit() == 20
    assert client.settings.inner.fresh.value == "new"
    assert client.eval("another") == 7


def test_set_without_value(client: Any) -> None:
    """Assigning to a name without `.value` is refused with what to write instead."""
    with pytest.raises(AttributeError, match=r"settings\.limit.*assign to \.limit\.value"):
        client.settings.limit = 5

    assert client.limit() == 10


@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [
        ("nowhere", NameError, "nowhere"),
        ("nowhere.at.all", NameError, "nowhere"),
        ("os.nowhere", AttributeError, "nowhere"),
        ("settings.nowhere.at", AttributeError, "nowhere"),
        ("xml.dom.nowhere", AttributeError, "nowhere"),
        ("no way", NameError, "no way"),
        ("", NameError, "''"),
        ("os..path", AttributeError, "''"),
        ("settings..limit", AttributeError, "''"),
        (".os", NameError, "''"),
    ],
)
def test_unknown_name(client: Any, name: str, kind: type[Exception], named: str) -> None:
    """A name that does not exist is an error that names it, and costs nothing else."""
    with pytest.raises(kind, match=named):
        client.call(name, origexc="quiet")

    assert client.add(1) == 3


def test_unknown_value(client: Any) -> None:
    """Reading or setting what does not exist is an error that names it."""
    with pytest.raises(NameError, match="nowhere"):
        _ = client.nowhere.value
    with pytest.raises(AttributeError, match="nowhere"):
        client.settings.nowhere.at.value = 1

    assert client.add(1) == 3


def test_value_that_raises_attribute_error(client: Any) -> None:
    """An attribute that is not there, or whose property raises, is an error to who reads it, and no name."""
    client.execblock("class lamp:\n    @property\n    def lit(self): return self.nothing\nlamp = lamp()")

    for name in (client.os.nowhere, client.lamp.lit):
        with pytest.raises(AttributeError, match="has no attribute 'no"):
            _ = name.value
    assert not hasattr(client.settings.debug, "value")


def test_names_are_no_values(client: Any) -> None:
    """A name that is compared with a value, ``.value`` forgotten, raises instead of being unequal; as a function it
    is unequal to others."""
    for value in (1, "text", [1]):
        with pytest.raises(
            TypeError, match=r"^<counter on .*> is a name on a server, .* counter\.value instead"
        ):
            _ = client.counter == value
    assert client.counter != len
    assert [len, client.counter].index(client.counter) == 1
    assert client.counter == client.counter
    assert client.counter != client.settings
    assert len({client.counter, client.counter, client.settings}) == 2


def test_what_a_call_imports_stays(client: Any) -> None:
    """A module that was imported for a call is there for expressions and blocks, too."""
    with pytest.raises(NameError):
        client.eval("json.dumps(1)", origexc="quiet")

    assert client.json.dumps([1]) == "[1]"
    assert client.eval("json.dumps(1)") == "1"


def test_unknown_name_mentions_update_definitions(client: Any) -> None:
    """A definition made after connecting is missing on the server, and the error says what to call."""
    define_common("def late(): pass\n")

    with pytest.raises(NameError, match=r"'late'.*update_definitions\(\)"):
        client.late(origexc="quiet")


def test_dunder_names_stay_here(client: Any) -> None:
    """Dunder names are not forwarded, so that Python's own questions never reach the server."""
    response = client.add(1, nonblocking=True)

    assert not hasattr(client, "__hidden__")
    assert not hasattr(client.settings, "__hidden__")
    assert not hasattr(client, "_repr_html_")
    with pytest.raises(TypeError):
        len(client)
    assert client.add(1, nonblocking=True).request_id == response.request_id + 1


def test_dunder_names_by_call(client: Any) -> None:
    """What bears a dunder name can still be called by `call`."""
    assert client.call("__hidden__") == "called"


def test_names_cannot_be_sent(client: Any) -> None:
    """A dotted name given as an argument is refused with what to send instead."""
    with pytest.raises(TypeError, match=r"argument 1 of echo.*counter\.value"):
        client.echo(client.counter)

    assert client.add(1) == 3


def test_eval(client: Any) -> None:
    """`eval` evaluates an expression among the definitions."""
    assert client.eval("add(counter)") == 3
    assert client.eval("settings.limit", nonblocking=True).wait() == 10


def test_execblock(client: Any) -> None:
    """The value of `execblock` is what its code passes to `exec_return`, or None."""
    assert client.execblock("x = 1") is None
    assert client.execblock("exec_return(add(1))\nraise ValueError('not reached')") == 3
    assert client.execblock("for i in range(5):\n    if i == 3:\n        exec_return(i)") == 3


def test_exec_return_from_function(client: Any) -> None:
    """`exec_return` ends the block also from inside a function that the block calls."""
    client.execblock("def leave(): exec_return('left')")

    assert client.execblock("leave()\nraise ValueError('not reached')") == "left"


def test_execblock_persists(client: Any) -> None:
    """Names that a block sets, its functions and imports too, are there for later calls."""
    client.execblock("import colorsys\nvalue = 5\ndef double(): return 2 * value")

    assert client.double() == 10
    assert client.value.value == 5
    assert client.eval("colorsys.__name__") == "colorsys"


def test_import_module(client: Any) -> None:
    """`import_module` makes a module known to expressions, and its parents."""
    client.import_module("colorsys")
    client.import_module("xml.dom.minidom")

    assert client.eval("colorsys.rgb_to_yiq(0, 0, 0)[0]") == 0
    assert client.eval("xml.dom.minidom.Document.__name__") == "Document"


def test_import_modules(client: Any) -> None:
    """`import_modules` imports several."""
    client.import_modules(["colorsys", "quopri"])

    assert client.eval("(colorsys.__name__, quopri.__name__)") == ("colorsys", "quopri")


def test_import_missing_module(client: Any) -> None:
    """Importing what does not exist raises what Python raises, and costs nothing else."""
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        client.import_module("no_such_module", origexc="quiet")

    assert client.add(1) == 3


def test_output_is_the_servers(capfd: Any, connect: Any, transport: Any) -> None:
    """What remote code and its programs print appears on the server's terminal: ours, or its own."""
    client = connect()  # here, because what is captured begins and ends with the test itself
    client.eval("print('printed', flush=True)")
    client.subprocess.call([client.eval("__import__('sys').executable"), "-c", "print('echoed')"])
    seen: list[str] = []

    def both_seen() -> bool:
        if transport.server:
            seen.append(transport.server.log)
        else:
            seen.extend(capfd.readouterr())
        return "printed" in "".join(seen) and "echoed" in "".join(seen)

    wait_until(both_seen)


@pytest.mark.parametrize("threadid", [1, -5, 2**62])
def test_threadid(client: Any, threadid: int) -> None:
    """Each threadid is one thread on the server; without one, calls run in the main thread."""
    client.import_module("threading")
    name = "threading.get_ident()"
    main = client.eval("threading.main_thread().ident")

    assert client.eval(name) == main
    assert client.eval(name, threadid=threadid) == client.eval(name, threadid=threadid) != main
    client.set_default_thread(threadid)
    assert client.eval(name) == client.eval(name, threadid=threadid)
    client.set_default_thread(0)
    assert client.eval(name) == main


def test_bad_threadid(client: Any) -> None:
    """A threadid that is no integer is refused before anything is sent."""
    for bad in ("1", 1.5, 2**64):
        with pytest.raises(TypeError, match="threadid must be an integer"):
            client.add(1, threadid=bad)

    assert client.add(1) == 3


def test_call_before_connecting() -> None:
    """A client that is not connected says so."""
    from easycluster import Client

    with pytest.raises(OSError, match=r"not connected.*connect\(\)"):
        Client().add(1)
