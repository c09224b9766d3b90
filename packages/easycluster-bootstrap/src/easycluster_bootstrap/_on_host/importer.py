"""Imports our modules from memory; on the host this is the module ``easycluster_bootstrap``.

Runs on the host only. Valid on 3.6 as it stands. The finder has the methods of `importlib.abc.MetaPathFinder`
but does not derive from it: importing importlib.abc takes 20 to 30 ms on Python 3.12 and 3.13, more than the
rest of the bootstrap together. Importing importlib takes 1 ms; the two modules behind it that are used here
are always there.
"""
# ruff: noqa: FA100 -- Python 3.6 has no `from __future__ import annotations`

import gc
import os
import sys
import zlib
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import PathFinder, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

_saved: "Optional[Tuple[List[str], bool]]" = None
"""The values of sys.path and sys.dont_write_bytecode for `restore_path`; None after it."""

_sources: "Dict[str, Tuple[bytes, bool]]" = {}
"""Full module name -> (source in UTF-8, whether it is a package)."""

_path: "List[str]" = []
"""The path on which our modules find Python's own: sys.path without the current folder."""

_awaited: "Dict[str, Callable[[Any], None]]" = {}
"""Name of a module -> the callback of `when_imported`."""


class _Loader(SourceFileLoader):
    """Loads one of our modules. It derives from Python's own loader, whose frames tracebacks leave out."""

    def get_data(self, path: "Any") -> bytes:
        """Return the source."""
        return _sources[self.name][0]

    def get_source(self, fullname: str) -> str:
        """Return the source as text, which linecache asks for, and so tracebacks and inspect."""
        return _sources[fullname][0].decode()

    def get_code(self, fullname: str) -> "Any":
        """Return the code, without looking for bytecode on disk."""
        return compile(_sources[fullname][0], self.path, "exec", dont_inherit=True)


class _Finder:
    """Finds the modules that were sent, and hides all other EasyCluster modules that the host may have."""

    def find_spec(
        self, fullname: str, path: "Optional[Sequence[str]]" = None, target: "Optional[ModuleType]" = None
    ) -> "Optional[ModuleSpec]":
        """Return the spec of a module that was sent, or None if the name is not one of ours.

        Raises:
            ModuleNotFoundError: the name is one of ours but was not sent. A copy on the host's disk is never
                used, because it may be of any version.
        """
        if fullname in _sources:
            is_package = _sources[fullname][1]
            # A made-up name like ``<this>`` would keep source lines out of tracebacks.
            file = f"easycluster-bundle/{fullname.replace('.', '/')}{'/__init__' if is_package else ''}.py"
            spec = ModuleSpec(fullname, _Loader(fullname, file), origin=file, is_package=is_package)
            spec.has_location = True
            return spec
        if fullname.startswith("easycluster"):
            raise ModuleNotFoundError(
                f"No module named {fullname!r} (it was not sent to this host, and copies of EasyCluster"
                " that are installed there are not used)",
                name=fullname,
            )
        if fullname in _awaited or _is_imported_by_ours():
            return _find_standard(fullname, path)
        return None


def _is_imported_by_ours() -> bool:
    """Return whether this thread is importing one of our modules, which must get Python's own modules,
    whatever files are in the current folder."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and isinstance(frame.f_globals.get("__loader__"), _Loader):
            return True
        frame = frame.f_back
    return False


def _find_standard(name: str, path: "Optional[Sequence[str]]") -> "Optional[ModuleSpec]":
    """Return the spec of one of Python's own modules; importing it writes no bytecode.

    Raises:
        ModuleNotFoundError: this Python lacks the module, such as ``nt``, which Python's own modules try to
            import. A file of that name in the current folder is not meant.
    """
    for finder in sys.meta_path:
        find: Any = None if isinstance(finder, _Finder) else getattr(finder, "find_spec", None)
        where = _path if finder is PathFinder and path is None else path
        spec: Optional[ModuleSpec] = find and find(name, where)
        if spec is not None:
            break
    else:
        if name in getattr(sys, "stdlib_module_names", ()):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None
    loader: Any = spec.loader  # each module in a file has one to itself
    if isinstance(spec.loader, SourceFileLoader):
        loader.set_data = _write_nothing
    callback = _awaited.pop(name, None)
    if callback is not None:
        execute = loader.exec_module

        def execute_and_call(module: "ModuleType") -> None:
            execute(module)
            callback(module)

        loader.exec_module = execute_and_call
    return spec


def _write_nothing(path: str, data: bytes, **_: "Any") -> None:
    """Take the place of the method that writes bytecode."""


def when_imported(name: str, callback: "Callable[[Any], None]") -> None:
    """Call ``callback(module)`` as soon as a module of Python's own that is a file has been imported."""
    if name in sys.modules:
        callback(sys.modules[name])
    else:
        _awaited[name] = callback


def add(packed: bytes) -> None:
    """Make more modules importable.

    Args:
        packed: the modules, in the form that `pack` of the bundle gives them.

    Raises:
        ValueError, zlib.error: they are not in that form, or have more than 16 MiB.
    """
    engine = zlib.decompressobj()
    modules = engine.decompress(packed, 1 << 24)
    if not engine.eof:
        raise ValueError("modules are cut short, or exceed 16 MiB")
    _add(modules)


def _add(modules: bytes) -> None:
    start = 0
    while start < len(modules):
        end = modules.index(b"\n", start)
        name, is_package, size = modules[start:end].decode().split()
        start = end + 1 + int(size)
        _sources[name] = modules[end + 1 : start], is_package == "1"
        _sources.setdefault(name.rpartition(".")[0], (b"", True))  # packages without a source are not sent


def export() -> "Tuple[bytes, bytes]":
    """Return the source of this module and all modules, as `install` takes them."""
    modules = b"".join(
        b"%s %d %d\n%s" % (name.encode(), is_package, len(source), source)
        for name, (source, is_package) in _sources.items()
        if name
    )
    return _sources[__name__][0], modules


def install(source: bytes, modules: bytes) -> None:
    """Let modules be imported.

    Args:
        source: the source of this module.
        modules: the modules, not compressed.
    """
    global _path
    _path = sys.path[:]
    _sources[__name__] = source, False
    _add(modules)
    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)
    # The finder did not import this module, but tracebacks have to find its source lines, too.
    this = sys.modules[__name__]
    this.__spec__ = spec = finder.find_spec(__name__)
    this.__loader__, this.__file__ = spec.loader, spec.origin


def start(source: bytes, modules: bytes, session: bytes, path: "List[str]", hook: "Any") -> None:
    """Import the entry, write the marker to stdout and call the entry.

    Args:
        source: the source of this module.
        modules: the modules to import, not compressed.
        session: marker, entry (``module:function``) and the argument of the entry, in lines.
        path: the value of sys.path after `restore_path`.
        hook: the value of sys.excepthook from the call of the entry on.

    Raises:
        SystemExit: with one line on stderr and status 1 if the entry cannot be imported or nobody reads the
            marker; with a traceback on stderr and status 1 if the entry raises.
    """
    global _saved, _path
    gc.disable()  # until the path is restored: hardly any object made until then becomes garbage
    _saved = path, sys.dont_write_bytecode
    _path = sys.path[:]
    sys.dont_write_bytecode = True
    if os.environ.get("PYTHONSAFEPATH") == "easycluster":
        # Set by the command for this start alone; processes that the entry starts must not inherit it.
        del os.environ["PYTHONSAFEPATH"]
        if getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            path.insert(0, "")
    # A .pth file or sitecustomize may have imported copies that are installed on the host.
    for name in [name for name in sys.modules if name.startswith("easycluster") and name != __name__]:
        del sys.modules[name]
    try:
        install(source, modules)
        marker, entry, config = session.split(b"\n", 2)
        module, _, function = entry.decode().partition(":")
        __import__(module)
        call = getattr(sys.modules[module], function)
        # Scripts must find __main__ without the names of the short line.
        main = vars(sys.modules["__main__"])
        for name in [name for name in main if not name.startswith("__")]:
            del main[name]
        sys.excepthook = hook
        marker += b"\n"
        while marker:
            marker = marker[os.write(1, marker) :]
    except Exception as error:
        sys.exit("EasyCluster could not start: " + _describe(error))
    try:
        call(config)
    except Exception:
        # Not left to the interpreter: before 3.13 it shows no source lines of modules that are not on disk.
        sys.path[:] = _path
        import traceback

        traceback.print_exc()
        sys.exit(1)


def restore_path() -> None:
    """Let imports work as in any Python on this host: the current folder first, bytecode written, garbage
    collected.

    The entry calls this once it has imported all of its own. Calls after the first do nothing.
    """
    global _saved
    if _saved is not None:
        sys.path[:], sys.dont_write_bytecode = _saved
        gc.enable()
        _saved = None


def _describe(error: Exception) -> str:
    """Describe an error in one line: its kind, its place in our code, and the Python."""
    place = f"{getattr(error, 'filename', None)}:{getattr(error, 'lineno', None)}"
    trace = error.__traceback__ if not isinstance(error, SyntaxError) else None
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__:
            place = f"{code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{type(error).__name__}: {error} (at {place}; {sys.executable} is Python {version})"
