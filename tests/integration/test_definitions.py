"""Definitions: made here, sent to servers, found by name on both ends."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import DefinitionError, RemoteException, define_common, definitions_module
from helpers.waiting import wait_until

UPGRADED_TOO = True

ADD = "def add(a, b):\n    return a + b\n"

#: Each block leaves a trace where it is executed.
TRACE = "import builtins\nbuiltins.trace = getattr(builtins, 'trace', ()) + ({!r},)\n"


def define_trace(name: str) -> None:
    """Add a block that leaves ``name`` in ``builtins.trace`` of servers."""
    define_common(TRACE.format(name), local=False)


def test_before_connecting(connect: Any) -> None:
    """Definitions made before connecting are there without further ado."""
    define_common(ADD)

    assert connect().add(1, 2) == 3


def test_here_as_well(connect: Any) -> None:
    """Definitions can be imported on the master, by their documented name."""
    define_common(ADD)

    from easycluster.remote_code import add

    assert add(1, 2) == 3
    assert add is sys.modules["easycluster.remote_code"].add
    assert import_module("easycluster").remote_code.add is add


def test_not_here(connect: Any) -> None:
    """With `local=False` a block is executed on servers only."""
    define_common(ADD, local=False)

    assert connect().add(1, 2) == 3
    assert not hasattr(import_module("easycluster.remote_code"), "add")


def test_after_connecting(client: Any) -> None:
    """Definitions made after connecting need `update_definitions`."""
    define_common(ADD)
    with pytest.raises(NameError, match="update_definitions"):
        client.add(1, 2, origexc="quiet")

    client.update_definitions()

    assert client.add(1, 2) == 3


def test_each_block_is_sent_once(connect: Any) -> None:
    """`update_definitions` sends what is new, in order, and nothing when nothing is."""
    define_trace("first")
    client = connect()
    define_trace("second")
    define_trace("third")
    client.update_definitions()
    number = client.eval("1", nonblocking=True).request_id

    client.update_definitions()

    assert client.eval("1", nonblocking=True).request_id == number + 1
    assert client.trace.value == ("first", "second", "third")


def test_several_modules(connect: Any) -> None:
    """Blocks of several modules are sent; names resolve in the client's own."""
    define_common("def where():\n    return __name__\n", "plant.hall1")
    define_common("def where():\n    return __name__\n", "plant.hall2")
    define_common("def where():\n    return __name__\n")

    assert connect(definitions="plant.hall1").where() == "plant.hall1"
    assert connect(definitions="plant.hall2").where() == "plant.hall2"
    client = connect()
    assert client.where() == "easycluster.remote_code"
    assert client.plant.hall2.where() == "plant.hall2"
    assert client.eval("where()") == "easycluster.remote_code"


def test_own_module_resolves_everywhere(connect: Any) -> None:
    """With another definitions module, values, expressions and blocks belong to that one."""
    define_common("limit = 1\n", "settings_of_mine")
    client = connect(definitions="settings_of_mine")

    client.limit.value = 5
    client.execblock("other = limit + 1")

    assert client.eval("limit, other, __name__") == (5, 6, "settings_of_mine")


def test_empty_module(connect: Any) -> None:
    """A client may name a definitions module in which nothing is defined yet."""
    client = connect(definitions="to_come")
    define_common(ADD, "to_come")
    client.update_definitions()

    assert client.add(1, 2) == 3


def test_definitions_module(connect: Any) -> None:
    """`definitions_module` returns a module to define in, always the same."""
    module = definitions_module("tools")
    module.define(ADD)

    assert module is definitions_module("tools")
    assert module.add(1, 2) == 3
    assert connect(definitions="tools").add(1, 2) == 3


def test_name_of_ordinary_module() -> None:
    """Definitions cannot go into an ordinary module."""
    with pytest.raises(ValueError, match=r"'os\.path'.*another name"):
        define_common(ADD, "os.path")


def test_by_reference(connect: Any) -> None:
    """Functions and classes of the definitions travel by reference, instances of classes by value."""
    define_common(
        "class Point:\n"
        "    def __init__(self, x):\n"
        "        self.x = x\n"
        "def echo(value):\n"
        "    return value\n"
        "def move(point):\n"
        "    assert type(point) is Point\n"
        "    point.x += 1\n"
        "    return point\n"
    )
    client = connect()
    from easycluster.remote_code import Point, echo, move

    point = Point(1)
    moved = client.move(point)

    assert client.echo([Point, echo, move]) == [Point, echo, move]
    assert type(moved) is Point
    assert (point.x, moved.x) == (1, 2)


def test_own_names_are_there(connect: Any) -> None:
    """A definitions module begins with `import easycluster` and the star import."""
    define_common(
        "def make():\n    return easycluster.VERSION, RemoteException.__name__, callable(exec_return)\n"
    )

    assert connect().make()[1:] == ("RemoteException", True)


def test_own_names_without_definitions(connect: Any) -> None:
    """They are there where nothing was defined, too, as soon as `execblock` or `eval` mentions one, however deep."""
    assert connect().execblock("exec_return(easycluster.VERSION)") == easycluster.VERSION
    assert connect().eval("(lambda: [RemoteException.__name__ for _ in 'x'])()") == ["RemoteException"]


def test_error_before_connecting(transport: Any) -> None:
    """A block that fails on the server makes connecting fail; the error names block and line."""
    define_common(ADD)
    define_common("x = 1\n\ny = 1 / 0\n", local=False)

    with pytest.raises(
        DefinitionError, match=r"block 2 .*easycluster\.remote_code.*line 3: ZeroDivisionError"
    ):
        transport.connect()


def test_error_in_update(client: Any) -> None:
    """A block that fails costs only itself: the blocks after it are sent, and none is sent again."""
    define_trace("before")
    define_common("import builtins\nno_such_name\n", local=False)
    define_trace("after")

    with pytest.raises(DefinitionError, match=r"block 2 .*, line 2: NameError: .*no_such_name") as caught:
        client.update_definitions()
    client.update_definitions()

    assert isinstance(caught.value, ImportError)
    assert client.trace.value == ("before", "after")


def test_error_in_a_function_called(client: Any) -> None:
    """The line in the error is the block's own, also when something else raised."""
    define_common("import json\n\njson.loads('{')\n", local=False)

    with pytest.raises(DefinitionError, match=r"block 1 .*, line 3: JSONDecodeError"):
        client.update_definitions()

    assert client.eval("1") == 1


def test_import_error_in_block(client: Any) -> None:
    """A module that the server lacks is named in the error."""
    define_common("import os\nimport no_such_module\n", local=False)

    with pytest.raises(DefinitionError, match=r"line 2: ModuleNotFoundError: .*no_such_module"):
        client.update_definitions()


def test_exit_in_block(client: Any) -> None:
    """A block that calls `sys.exit` fails like any other."""
    define_common("import sys\nsys.exit('no')\n", local=False)

    with pytest.raises(DefinitionError, match=r"line 2: SystemExit: no"):
        client.update_definitions()

    assert client.eval("1") == 1


def test_syntax_error_here() -> None:
    """A block that does not compile is refused where it is made, and is not sent."""
    for local in (True, False):
        with pytest.raises(SyntaxError) as caught:
            define_common("x = 1\ndef f(:\n", local=local)
        assert caught.value.lineno == 2


def test_syntax_error_there(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that compiles here but not on the server's older Python is an error with its line."""
    client = connect()
    from easycluster_protocol._definitions import modules

    block = modules.Block("easycluster.remote_code", 0, "x = 1\nprint 'python 2'\n")
    modules.defined_blocks.append(block)

    with pytest.raises(DefinitionError, match=r"block 1 .*, line 2: SyntaxError"):
        client.update_definitions()
    assert client.eval("1") == 1


def test_bad_module_does_not_cost_the_others(client: Any) -> None:
    """A block whose module cannot be one on the server fails alone; the blocks after it are executed."""
    client.execblock("import sys, types; sys.modules['ec_there_only'] = types.ModuleType('ec_there_only')")
    define_common("x = 1", "ec_there_only", local=False)
    define_common("def later(): return 2")

    with pytest.raises(DefinitionError, match="block 1 of the definitions module ec_there_only failed"):
        client.update_definitions()
    assert client.later() == 2


def test_update_in_a_completion_function(client: Any, tmp_path: Path) -> None:
    """A completion function that is called while definitions are awaited may update them, too."""
    ends_the_call, ends_the_definitions = str(tmp_path / "call"), str(tmp_path / "definitions")
    for path in (ends_the_call, ends_the_definitions):
        os.mkfifo(path)
    told: list[Any] = []

    def complete(value: str) -> None:
        with open(ends_the_definitions, "w"):
            pass
        told.append(client.update_definitions())

    client.eval(f"open({ends_the_call!r}).read()", threadid=1, oncomplete=complete)
    define_common(f"open({ends_the_call!r}, 'w').close(); open({ends_the_definitions!r}).read()", local=False)
    client.update_definitions()

    wait_until(lambda: told == [None])


def test_update_with_options(client: Any) -> None:
    """`update_definitions` takes the options of every call; whoever does not wait gets a response, also when there is
    nothing to send."""
    told: list[Any] = []
    assert client.update_definitions(nonblocking=True).wait() is None
    define_common("def late(): return 1")
    define_common("raise KeyError('there')", local=False)
    response = client.update_definitions(True)

    with pytest.raises(DefinitionError, match="block 2"):
        response.wait(origexc="quiet")
    assert client.late() == 1
    define_common("def later(): return 2")
    client.update_definitions(oncomplete=told.append)
    assert (client.later(), told) == (2, [None])
    define_common("raise KeyError('there')", local=False)
    with pytest.raises(RemoteException):
        client.update_definitions(origexc=False)


def test_failed_block_here_is_not_sent(client: Any) -> None:
    """A block that fails on the master raises there, and servers never see it."""
    with pytest.raises(ZeroDivisionError):
        define_common("1 / 0\n")
    define_trace("only")

    client.update_definitions()

    assert client.trace.value == ("only",)


def test_errors_have_their_names(connect: Any) -> None:
    """The errors of the star import have their names in definitions, on the host and here, and in blocks of code."""
    easycluster.define_common(
        "def kinds():\n    return [ConnectionLost, CallTimeout, ConnectError, EasyClusterError]\n"
    )
    client = connect()

    assert client.kinds() == [
        easycluster.ConnectionLost,
        easycluster.CallTimeout,
        easycluster.ConnectError,
        easycluster.EasyClusterError,
    ]
    assert client.eval("[SerializationError, DeserializationError]") == [
        easycluster.SerializationError,
        easycluster.DeserializationError,
    ]
    assert client.kinds() == easycluster.remote_code.kinds()
