"""Definitions modules: modules whose source is given as blocks of text, which are sent to servers.

A definitions module exists on both ends under the same name, so its functions, classes and the
instances of its classes are pickled by reference to that name.
"""

from __future__ import annotations

import sys
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Optional

from easycluster_protocol._values.serialize import describe
from easycluster_protocol.errors import DefinitionError

from . import sources

if TYPE_CHECKING:
    from easycluster_protocol._types import Namespace, Value

DEFAULT_NAME = "easycluster.remote_code"

_STARRED_NAMES = (
    "AutoThreadingClient CallTimeout Client ClientGroup ConnectError Connection ConnectionLost "
    "DefaultRemoteProxy DeserializationError EasyClusterError RemoteException RemoteProxy SelfIterProxy "
    "SerializationError ServerObject ThreadedClient add_key_options call_method_multi call_multi "
    "decode_key define_common definitions_module eval_multi exec_return execblock_multi generate_key "
    "key_from_options make_server_class make_singleton parse_connection_spec read_key_file write_key_file"
)

#: The names that each definitions module has from the beginning: ``easycluster``, and those that ``from
#: easycluster import *`` gives. They are listed here again because importing the facade takes time.
INITIAL_NAMES = frozenset(["easycluster", *_STARRED_NAMES.split()])

#: Code that mentions one of these names may use others that it does not mention.
_DYNAMIC_NAMES = frozenset(
    "__builtins__ __dict__ __globals__ compile dir eval exec f_builtins f_globals f_locals globals locals "  # noqa: SIM905
    "vars".split()
)


class Block:
    """One block of definitions: the name of its module, its number in it, and its source."""

    __slots__ = ("module", "number", "source")

    def __init__(self, module: str, number: int, source: str) -> None:
        self.module = module
        self.number = number
        self.source = source


#: Every block that was defined in this process, in order, to be sent to servers. It only ever grows.
defined_blocks: List[Block] = []

#: On a server: every block that its client sent and that did not fail, in order.
received_blocks: List[Block] = []


class DefinitionsModule(ModuleType):
    """A module that is filled by `define`."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "Definitions that are shared with servers.")
        self.__dict__["__package__"] = name.rpartition(".")[0]
        # Names that no definition of the user's has.
        self.__dict__["__easycluster_blocks__"] = 0
        self.__dict__["__easycluster_prepared__"] = False

    def define(self, code: str, local: bool = True) -> None:
        """Add a block of definitions.

        Args:
            code: the source of the block.
            local: whether to execute it here as well.

        Raises:
            SyntaxError: the block does not compile, and is not added.
            Exception: executing it here raised this; it is not added.
        """
        given: Value = code
        if not isinstance(given, (str, bytes)):
            raise TypeError(
                f"definitions must be the text of Python code, not {type(given).__name__}; for a function f"
                " that is inspect.getsource(f), and host.call(f, ...) calls it without a definition"
            )
        namespace = self.__dict__
        block = Block(self.__name__, namespace["__easycluster_blocks__"], code)
        if local:
            try:
                _execute(block, namespace, _prepare)
            except ModuleNotFoundError as error:
                note = "raised on this computer: if only the hosts have the module, use"
                error.__dict__["__notes__"] = [f"{note} define_common(text, local=False)"]
                raise
        else:
            compile(code, get_filename(block), "exec", dont_inherit=True)
        namespace["__easycluster_blocks__"] += 1
        defined_blocks.append(block)

    def __getattr__(self, name: str) -> Value:
        if name in INITIAL_NAMES:
            provide((name,), self.__dict__)
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def get_filename(block: Block) -> str:
    """Return the name under which stack traces show a block."""
    return f"{block.module}[{block.number + 1}]"


def _execute(block: Block, namespace: Namespace, prepare: Callable[[CodeType, Namespace], None]) -> None:
    """Execute a block in its module; its lines appear in stack traces."""
    name = get_filename(block)
    sources.keep(name, block.source)
    code = compile(block.source, name, "exec", dont_inherit=True)
    prepare(code, namespace)
    exec(code, namespace)


def _prepare(code: CodeType, namespace: Namespace) -> None:  # noqa: ARG001 -- as `prepare_for`
    """Give a definitions module all initial names, unless it has them."""
    if not namespace["__easycluster_prepared__"]:
        provide(INITIAL_NAMES, namespace)
        namespace["__easycluster_prepared__"] = True


def prepare_for(code: CodeType, namespace: Namespace) -> None:
    """Give a definitions module the initial names that the code can use: importing all of them takes longer
    than most code takes to run."""
    if namespace["__easycluster_prepared__"]:
        return
    names = frozenset(_find_names(code))
    if names.isdisjoint(_DYNAMIC_NAMES):
        provide(names & INITIAL_NAMES, namespace)
    else:
        _prepare(code, namespace)


def provide(names: Iterable[str], namespace: Namespace) -> None:
    """Give a definitions module some of the initial names; names that it has keep their objects.

    Names of the client exist only where easycluster-client is installed.
    """
    missing = [name for name in names if name not in namespace]
    if missing:
        facade: Any = __import__("easycluster")
        for name in missing:
            if name == "easycluster":
                namespace[name] = facade
            elif name in facade.__all__:
                namespace[name] = getattr(facade, name)


def _find_names(code: CodeType) -> Iterator[str]:
    """Yield the names that code and the functions in it mention, and initial names in its texts."""
    yield from code.co_names
    yield from _find_names_in(code.co_consts)


def _find_names_in(constants: Iterable[Value]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, CodeType):
            yield from _find_names(constant)
        elif isinstance(constant, str):  # annotations that are not evaluated at once are such texts
            yield from (name for name in INITIAL_NAMES if name in constant)
        elif constant.__class__ is tuple:  # or tuples of them
            yield from _find_names_in(constant)


def define_sent(block: Block) -> None:
    """Execute a block that a client sent.

    Raises:
        DefinitionError: it failed. The message names block and line; the cause is the original exception.
    """
    try:
        _execute(block, definitions_module(block.module).__dict__, prepare_for)
        received_blocks.append(block)
    except BaseException as error:
        where = f"block {block.number + 1} of the definitions module {block.module}"
        line = _find_line(error, get_filename(block))
        at = f", line {line}" if line else ""
        raise DefinitionError(f"{where} failed{at}: {describe(error)}") from error


def _find_line(error: BaseException, name: str) -> Optional[int]:
    """Return the line of the source of this name in which an error was raised last."""
    if isinstance(error, SyntaxError) and error.filename == name:
        return error.lineno
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == name:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def definitions_module(name: str, keep_source: bool = True) -> Any:  # noqa: ARG001 -- published
    """Return the definitions module of that name; if there is none, make it.

    Args:
        name: its full name. The packages before the last dot are made when they do not exist.
        keep_source: accepted for the sake of scripts for EasyCluster 0.x. The source is always kept,
            because servers need it.

    Raises:
        ValueError: an ordinary module has that name.
    """
    module = sys.modules.get(name)
    if isinstance(module, DefinitionsModule):
        return module
    if module is not None or not all(part.isidentifier() for part in name.split(".")):
        reason = "is the name of a module that exists" if module else "is not the name of a module"
        raise ValueError(f"{name!r} {reason}: choose another name for the definitions")
    return install(name)


def install(name: str) -> DefinitionsModule:
    """Make a definitions module and enter it in ``sys.modules``, in place of what was there."""
    module = DefinitionsModule(name)
    parent, _, last = name.rpartition(".")
    # The facade takes time to import; it finds the module in `sys.modules` when it is asked for it.
    if parent and name != DEFAULT_NAME:
        setattr(_find_package(parent), last, module)
    sys.modules[name] = module
    return module


def _find_package(name: str) -> ModuleType:
    """Import a package; if there is none of that name, make one."""
    try:
        __import__(name)
    except ImportError:
        package = ModuleType(name)
        package.__path__ = []
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(_find_package(parent), last, package)
        sys.modules[name] = package
    return sys.modules[name]


def define_common(code: str, name: str = DEFAULT_NAME, local: bool = True) -> None:
    """Define functions and classes on this end and on the servers.

    Servers that are connected later get the definitions automatically; those that are connected
    already get them by `Client.update_definitions`.

    Args:
        code: Python source. It is executed in a module of its own, so it must import the modules it uses.
        name: the name of that module.
        local: whether to execute the code on this end as well.

    Raises:
        SyntaxError: the code does not compile.
        ValueError: an ordinary module has that name.
        Exception: executing the code here raised this.
    """
    definitions_module(name).define(code, local)
