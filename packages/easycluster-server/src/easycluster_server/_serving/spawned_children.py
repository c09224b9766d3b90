"""Definitions in the processes that `multiprocessing` starts afresh: by "spawn" or "forkserver".

Such a process is a new interpreter. It first unpickles a dictionary that `multiprocessing.spawn` makes,
then the functions that it is to call, by their names. By then the definitions must be there, and our
code, too, on a host that was sent it. So one more value is put into the dictionary: unpickling it
executes a short text that brings both.
"""

from __future__ import annotations

import sys
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterable, List, NoReturn, Optional, Sequence, Tuple

from easycluster_protocol._definitions.modules import (
    DEFAULT_NAME,
    Block,
    DefinitionsModule,
    define_sent,
    defined_blocks,
    definitions_module,
    received_blocks,
)
from easycluster_protocol.errors import DefinitionError

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from easycluster_protocol._types import Value

    #: A block as built-in types: its module, its number there, its source.
    PlainBlock = Tuple[str, int, str]

_NAME = "multiprocessing.spawn"

#: Begins in a new process where our packages are installed: its path is set a moment later than it is needed.
_INSTALLED = """
import sys
sys.path[:] = {path!r}
"""

#: Begins in a new process on a host that was sent our code.
_SENT = """
import sys, zlib
path = sys.path[:]
sys.path[:] = [each for each in path if each]
importer = type(sys)("easycluster_bootstrap")
sys.modules[importer.__name__] = importer
source, modules = zlib.decompress({packed!r}).split(b"\\f", 1)
exec(compile(source, "easycluster-bundle/easycluster_bootstrap.py", "exec"), importer.__dict__)
importer.install(source, modules)
sys.path[:] = path
"""

_END = """
from easycluster_server._serving.spawned_children import receive
receive({blocks!r})
"""


class _Definitions:
    """Is unpickled in a new process, and thereby brings the definitions there.

    Args:
        path: the value of sys.path there.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self._path = list(path)

    def __reduce__(self) -> Tuple[Any, ...]:
        importer: Any = sys.modules.get("easycluster_bootstrap")  # on masters a package has that name
        if hasattr(importer, "export"):
            begin = _SENT.format(packed=zlib.compress(b"\f".join(importer.export()), 1))
        else:
            begin = _INSTALLED.format(path=self._path)
        blocks = [(block.module, block.number, block.source) for block in (*received_blocks, *defined_blocks)]
        return exec, (begin + _END.format(blocks=blocks), {})


def receive(blocks: Iterable[PlainBlock]) -> None:
    """In a new process: execute blocks of definitions, and let the processes that it starts get them, too.

    A block that fails has failed in the process before as well, and its functions are known in neither.
    """
    watch()
    for block in blocks:
        try:
            define_sent(Block(*block))
        except DefinitionError as error:
            sys.stderr.write(f"easycluster: in a process of multiprocessing: {error}\n")
    definitions_module(DEFAULT_NAME)
    for module in list(sys.modules.values()):
        if type(module) is DefinitionsModule:
            module.__class__ = _ModuleOfChild


class _ModuleOfChild(DefinitionsModule):
    """A definitions module in a new process.

    A function that no definition has made must not fail when `multiprocessing` unpickles it: the process
    would end, and a pool would start the next one, for ever. It fails when it is called.
    """

    def __getattr__(self, name: str) -> Value:
        try:
            return super().__getattr__(name)
        except AttributeError:
            asker: str = sys._getframe(1).f_globals.get("__name__", "")
            if not asker.startswith("multiprocessing."):
                raise
            return partial(_fail, f"{self.__name__}.{name}")


def _fail(name: str, *_: Value, **__: Value) -> NoReturn:
    raise NameError(
        f"{name} is not known in this process, which multiprocessing has started afresh: it knows the "
        "definitions (define_common), but not what execblock() or an assignment has made"
    )


def watch() -> None:
    """Let the processes that `multiprocessing` will start from here have the definitions."""
    if _NAME in sys.modules:
        _extend(sys.modules[_NAME])
    else:
        finder: Any = _Finder()
        sys.meta_path.insert(0, finder)


def _extend(spawn: ModuleType) -> None:
    """Extend the dictionary that new processes get."""
    make_data: Any = spawn.get_preparation_data

    def get_preparation_data(name: str) -> Any:
        data = make_data(name)
        data["easycluster"] = _Definitions(data.get("sys_path", sys.path))
        return data

    vars(spawn)["get_preparation_data"] = get_preparation_data


class _Finder:
    """Extends `multiprocessing.spawn` as soon as it has been imported."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """Return the spec of that module, as the other finders find it; None for any other module."""
        if fullname != _NAME:
            return None
        finders: List[Any] = sys.meta_path
        if self in finders:
            finders.remove(self)
        for finder in finders:
            find = getattr(finder, "find_spec", None)
            spec: Optional[ModuleSpec] = find and find(fullname, path, target)
            if spec is not None:
                loader: Any = spec.loader
                loader.exec_module = partial(_execute_and_extend, loader.exec_module)
                return spec
        return None


def _execute_and_extend(execute: Callable[[ModuleType], object], module: ModuleType) -> None:
    execute(module)
    _extend(module)
