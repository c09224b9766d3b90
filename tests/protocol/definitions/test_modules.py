from __future__ import annotations

import pathlib
import pickle
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import easycluster
from easycluster_protocol._definitions import modules as definitions
from easycluster_protocol._definitions.modules import (
    DEFAULT_NAME,
    Block,
    DefinitionsModule,
    define_common,
    define_sent,
    definitions_module,
)
from easycluster_protocol._definitions.names import NameResolver
from easycluster_protocol.errors import DefinitionError

NAME = "ec_test_definitions"


@pytest.fixture(autouse=True)
def no_packages() -> Iterator[None]:
    """Packages that are made for a dotted name are no definitions, and are forgotten here."""
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("ec_test"):
            del sys.modules[name]


def module() -> Any:
    """The definitions module of these tests."""
    return definitions_module(NAME)


# Defining on this end.


def test_definitions_are_there() -> None:
    """The definitions of a block are in the module, which can be imported, and later blocks see them."""
    define_common("def double(x):\n    return 2 * x\n", NAME)
    module().define("FOUR = double(2)\n")

    imported = __import__(NAME)

    assert imported is module()
    assert (imported.FOUR, imported.double(5)) == (4, 10)


def test_definitions_may_use_easycluster() -> None:
    """A definitions module begins with the imports that scripts rely on."""
    define_common("key = generate_key()\nversion = easycluster.VERSION\n", NAME)

    assert len(module().key) == 32
    assert module().version


def test_names_of_easycluster_can_be_redefined() -> None:
    """A definition stays, although a later block might be given an initial name like it."""
    define_common("def exec_return(value):\n    return value\n", NAME)
    define_common("pass\n", NAME)

    assert module().exec_return(3) == 3


def test_every_block_is_logged_for_the_servers() -> None:
    """Each block is noted in order, with the name of its module and its number there."""
    before = len(definitions.defined_blocks)
    define_common("a = 1\n", NAME)
    define_common("b = 2\n", NAME + "_other")
    define_common("c = 3\n", NAME)

    assert [(block.module, block.number, block.source) for block in definitions.defined_blocks[before:]] == [
        (NAME, 0, "a = 1\n"),
        (NAME + "_other", 0, "b = 2\n"),
        (NAME, 1, "c = 3\n"),
    ]


def test_definitions_for_servers_only() -> None:
    """A block that is not local is not executed here, but must compile."""
    before = len(definitions.defined_blocks)
    define_common("import not_installed_here\nname = 1\n", NAME, local=False)

    assert not hasattr(module(), "name")
    assert len(definitions.defined_blocks) == before + 1
    with pytest.raises(SyntaxError):
        define_common("def\n", NAME, local=False)
    assert len(definitions.defined_blocks) == before + 1


@pytest.mark.parametrize(
    ("code", "error"),
    [("def\n", SyntaxError), ("1 / 0\n", ZeroDivisionError), ("raise SystemExit\n", SystemExit)],
)
def test_blocks_that_fail(code: str, error: type[BaseException]) -> None:
    """A block that fails here is not sent to servers, and the next one has its number."""
    before = len(definitions.defined_blocks)
    with pytest.raises(error):
        define_common(code, NAME)

    define_common("a = 1\n", NAME)

    assert [(block.number, block.source) for block in definitions.defined_blocks[before:]] == [(0, "a = 1\n")]


@pytest.mark.parametrize(
    "code",
    [test_blocks_that_fail, None, pathlib.Path("a.py"), pickle],
    ids=["function", "None", "path", "module"],
)
def test_definitions_that_are_no_text(code: Any) -> None:
    """Anything but a text is refused, with the way to define or to call a function; nothing is defined."""
    with pytest.raises(TypeError) as raised:
        definitions.define_common(code)

    assert str(raised.value) == (
        f"definitions must be the text of Python code, not {type(code).__name__}; for a function f that is"
        " inspect.getsource(f), and host.call(f, ...) calls it without a definition"
    )
    assert definitions.defined_blocks == []


def test_definitions_in_bytes() -> None:
    """Bytes are a text, too."""
    code: Any = b"x = 1"
    definitions.define_common(code)

    assert easycluster.remote_code.x == 1


def test_stack_traces_show_the_source() -> None:
    """A stack trace through a definition names the block and shows its line."""
    define_common("a = 1\n", NAME)
    define_common("def divide(x):\n    return x / 0  # here\n", NAME)

    with pytest.raises(ZeroDivisionError) as caught:
        module().divide(1)

    text = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert f'File "{NAME}[2]", line 2, in divide' in text
    assert "return x / 0  # here" in text


def test_blocks_do_not_inherit_future_imports() -> None:
    """The future imports of our own source are not those of a block."""
    define_common("def f(x: NAME if False else int): pass\nkind = f.__annotations__['x']\n", NAME)

    assert module().kind is int


def test_instances_travel_by_reference_to_their_class() -> None:
    """Functions, classes and instances of a definitions module can be pickled."""
    define_common("class Point:\n    def __init__(self, x):\n        self.x = x\n", NAME)
    point = module().Point(3)

    copy = pickle.loads(pickle.dumps(point))

    assert type(copy) is module().Point
    assert copy.x == 3


# Names of modules.


def test_the_same_name_is_the_same_module() -> None:
    """A name is one module, however often it is asked for and with whatever options."""
    assert isinstance(module(), DefinitionsModule)
    assert definitions_module(NAME, keep_source=False) is module()


def test_the_default_module() -> None:
    """The default module is easycluster.remote_code, by import as by name."""
    imported = __import__(DEFAULT_NAME, fromlist=["x"])

    assert definitions_module(DEFAULT_NAME) is imported
    assert isinstance(imported, DefinitionsModule)


def test_the_default_module_is_made_on_demand() -> None:
    """The default module need not have been imported before."""
    assert DEFAULT_NAME not in sys.modules

    made = definitions_module(DEFAULT_NAME)

    assert isinstance(made, DefinitionsModule)
    assert sys.modules[DEFAULT_NAME] is made


def test_packages_are_made() -> None:
    """The packages of a dotted name are made where they do not exist, and hold the module."""
    made = definitions_module("ec_test_package.inner.code")
    made.define("x = 1\n")

    import ec_test_package.inner.code  # type: ignore[import-not-found]  # made above

    assert ec_test_package.inner.code is made
    assert made.__package__ == "ec_test_package.inner"


def test_packages_that_exist_are_used() -> None:
    """A definitions module may lie in a package that exists, which is imported."""
    package = ModuleType("ec_test_existing")
    sys.modules[package.__name__] = package

    made = definitions_module("ec_test_existing.code")

    assert package.code is made


@pytest.mark.parametrize("name", ["json", "os.path", "", "a b", "a..b", ".a", "a-b", "1a"])
def test_names_that_cannot_be_used(name: str) -> None:
    """The name of an ordinary module, and what is no name at all, are refused with advice."""
    with pytest.raises(ValueError, match="choose another name for the definitions") as caught:
        definitions_module(name)

    assert repr(name) in str(caught.value)


# Definitions that a client sent.


def test_sent_blocks() -> None:
    """A block that a client sent is executed in the module of its name, and is not noted for servers."""
    before = len(definitions.defined_blocks)

    define_sent(Block(NAME, 4, "def f():\n    return 1\n"))

    assert module().f() == 1
    assert module().f.__code__.co_filename == f"{NAME}[5]"
    assert len(definitions.defined_blocks) == before


@pytest.mark.parametrize(
    ("code", "where", "cause"),
    [
        (
            "a = 1\n1 / 0\n",
            "block 3 of the definitions module {} failed, line 2: ZeroDivisionError: ",
            ZeroDivisionError,
        ),
        ("\n\ndef\n", "block 3 of the definitions module {} failed, line 3: SyntaxError: ", SyntaxError),
        ("import ec_test_missing\n", "failed, line 1: ModuleNotFoundError: No module", ModuleNotFoundError),
        ("def f():\n    g()\ndef g():\n    {}[1]\n\nf()\n", "failed, line 4: KeyError: 1", KeyError),
        ("raise SystemExit(3)\n", "failed, line 1: SystemExit: 3", SystemExit),
        ("compile('(', 'other', 'exec')\n", "failed, line 1: SyntaxError", SyntaxError),
        ("a = '\0'\n", "block 3 of the definitions module", (ValueError, SyntaxError)),
    ],
)
def test_sent_blocks_that_fail(code: str, where: str, cause: Any) -> None:
    """A block that fails is named with its line and what went wrong there, which is the cause."""
    with pytest.raises(DefinitionError) as caught:
        define_sent(Block(NAME, 2, code))

    assert where.replace("{}", NAME) in str(caught.value)
    assert isinstance(caught.value.__cause__, cause)


def test_sent_blocks_whose_error_has_no_text() -> None:
    """An error that cannot be asked for its text fails the block like any other; blocks are counted from 1."""
    code = "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\nraise Mute\n"

    for number in range(3):
        with pytest.raises(
            DefinitionError,
            match=rf"block {number + 1} of .* failed, line 4: Mute: <its text is not available>",
        ):
            define_sent(Block(NAME, number, code))


def test_a_name_that_is_taken_on_the_server() -> None:
    """A block for a module whose name an ordinary module of the server has is refused."""
    with pytest.raises(
        DefinitionError,
        match="block 1 of the definitions module json failed: ValueError: 'json' is the name of a module that exists",
    ):
        define_sent(Block("json", 0, "a = 1\n"))


def test_own_names() -> None:
    """The initial names of definitions modules are those of the facade."""
    assert {"easycluster", *easycluster.__all__} == definitions.INITIAL_NAMES


def names_given(module: str) -> frozenset[str]:
    """Which names of our own a definitions module has been given."""
    return definitions.INITIAL_NAMES & set(vars(definitions_module(module)))


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("def f():\n    return 1\n", set[str]()),
        ("class A(ServerObject):\n    pass\n", {"ServerObject"}),
        (
            "def f():\n    def g():\n        return [RemoteProxy for x in easycluster]\n",
            {"RemoteProxy", "easycluster"},
        ),
        ("import easycluster_protocol\nfrom math import pi\n", set[str]()),
        ("def f(text):\n    return eval(text)\n", definitions.INITIAL_NAMES),
        ("def f(name):\n    return globals()[name]\n", definitions.INITIAL_NAMES),
        ("from __future__ import annotations\ndef f(x: RemoteProxy): pass\n", {"RemoteProxy"}),
        ("def f(x: 'list[RemoteProxy]'): pass\n", {"RemoteProxy"}),
        ("x = ('RemoteProxy', ('ServerObject', 1))\n", {"RemoteProxy", "ServerObject"}),
        ("def f(name):\n    return f.__globals__[name]\n", definitions.INITIAL_NAMES),
        (
            "def f(name):\n    return __import__('sys')._getframe().f_globals[name]\n",
            definitions.INITIAL_NAMES,
        ),
        ("names = locals()\n", definitions.INITIAL_NAMES),
        ("names = dir()\nassert 'ServerObject' in names\n", definitions.INITIAL_NAMES),
    ],
)
def test_names_that_a_sent_block_is_given(code: str, given: set[str]) -> None:
    """A block that was sent is given the names that it mentions; all, when it can use names that it does not mention."""
    define_sent(Block(NAME, 0, code))

    assert names_given(NAME) == given


def test_given_names_do_not_replace_what_is_defined() -> None:
    """A definition under an initial name stays, whatever later blocks mention."""
    define_sent(Block(NAME, 0, "class ServerObject:\n    mine = True\n"))
    define_sent(Block(NAME, 1, "found = ServerObject.mine\nall = globals()\n"))

    assert definitions_module(NAME).found
    assert definitions_module(NAME).ServerObject.mine


def test_names_that_nobody_mentioned() -> None:
    """From outside, too, a definitions module has every name with which such modules begin, and no others."""
    define_sent(Block(NAME, 0, "a = 1\n"))
    module = definitions_module(NAME)
    before = names_given(NAME)

    assert before == set()
    assert module.ServerObject is easycluster.ServerObject
    assert NameResolver(module).resolve("make_singleton") is easycluster.make_singleton
    assert names_given(NAME) == {"ServerObject", "make_singleton"}
    with pytest.raises(AttributeError, match=rf"^module '{NAME}' has no attribute 'b'$"):
        _ = module.b


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_module_that_only_hosts_have() -> None:
    """The error of an import that fails here says how to define on the hosts alone; other errors do not."""
    with pytest.raises(ModuleNotFoundError) as caught:
        define_common("import no_such_module")
    assert caught.value.__notes__ == [
        "raised on this computer: if only the hosts have the module, use define_common(text, local=False)"
    ]
    with pytest.raises(ZeroDivisionError) as other:
        define_common("1 / 0")
    assert not hasattr(other.value, "__notes__")
