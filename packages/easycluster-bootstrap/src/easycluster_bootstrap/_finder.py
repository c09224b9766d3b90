"""The importer that serves our code from memory; on the host it is the module ``easycluster_bootstrap``.

Runs on the host only. Valid on 3.6 as it stands. The finder has the methods of `importlib.abc.MetaPathFinder`
and `importlib.abc.ExecutionLoader` but does not derive from them: importing importlib.abc takes 20 to 30 ms
on Python 3.12 and 3.13, more than the rest of the bootstrap together.
"""
# ruff: noqa: FA100 -- Python 3.6 has no `from __future__ import annotations`

import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any, Dict, List, Optional, Sequence, Tuple

_saved: "Optional[Tuple[List[str], bool]]" = None
"""What `restore_path` puts back: sys.path and whether to write bytecode. None once it has."""


class BundleFinder:
    """Finds and loads the modules of a bundle, and hides any other module of ours that the host may have.

    Args:
        sources: full module name -> (source in UTF-8, whether it is a package).
    """

    def __init__(self, sources: "Dict[str, Tuple[bytes, bool]]") -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: "Optional[Sequence[str]]" = None, target: "Optional[ModuleType]" = None
    ) -> "Optional[ModuleSpec]":
        """Return the spec of a module of the bundle, None for a module that is none of ours.

        Raises:
            ModuleNotFoundError: the name is ours but not in the bundle; a copy on the host's disk could be of
                any version, so it is never used.
        """
        if fullname in self._sources:
            loader: Any = self
            package = self.is_package(fullname)
            spec = ModuleSpec(fullname, loader, origin=self.get_filename(fullname), is_package=package)
            spec.has_location = True
            return spec
        if fullname.startswith("easycluster"):
            raise ModuleNotFoundError(
                f"No module named {fullname!r} (it was not sent to this host, and what the host itself has"
                " installed of EasyCluster is not used)",
                name=fullname,
            )
        return None

    def create_module(self, spec: "ModuleSpec") -> None:
        """Return None: an ordinary module will do."""

    # Borrowed, not written here: Python leaves the frames of its own function out of tracebacks.
    exec_module: "Any" = SourceFileLoader.exec_module

    def get_code(self, fullname: str) -> "CodeType":
        """Return the compiled module."""
        return compile(self.get_source(fullname), self.get_filename(fullname), "exec", dont_inherit=True)

    def get_source(self, fullname: str) -> str:
        """Return the source text; linecache and thus tracebacks and inspect ask for it."""
        return self._find(fullname)[0].decode("utf-8")

    def get_filename(self, fullname: str) -> str:
        """Return the made-up file name; one like ``<this>`` would keep source lines out of tracebacks."""
        tail = "/__init__.py" if self.is_package(fullname) else ".py"
        return "easycluster-bundle/" + fullname.replace(".", "/") + tail

    def is_package(self, fullname: str) -> bool:
        """Return whether the module is a package."""
        return self._find(fullname)[1]

    def _find(self, fullname: str) -> "Tuple[bytes, bool]":
        try:
            return self._sources[fullname]
        except KeyError:
            raise ImportError(f"{fullname!r} is not in EasyCluster's bundle", name=fullname) from None


def install(sources: "Dict[str, Tuple[bytes, bool]]", path: "List[str]", write_bytecode: bool) -> None:
    """Make the bundle importable and remember what `restore_path` shall put back."""
    global _saved
    _saved = path, not write_bytecode
    this = sys.modules[__name__]
    # A .pth file or sitecustomize may have imported what is installed on the host.
    for name in [name for name in sys.modules if name.startswith("easycluster") and name != __name__]:
        del sys.modules[name]
    finder: Any = BundleFinder(sources)
    sys.meta_path.insert(0, finder)
    # This module was not imported by the finder, but its source lines shall be found too.
    this.__spec__ = finder.find_spec(__name__)
    this.__loader__ = finder
    this.__file__ = finder.get_filename(__name__)


def restore_path() -> None:
    """Let imports work as in any Python on this host: the current folder first, bytecode written.

    The entry calls this once it has imported all of its own. Calls after the first do nothing.
    """
    global _saved
    if _saved is not None:
        sys.path[:], sys.dont_write_bytecode = _saved
        _saved = None


def run(entry: str, marker: bytes, config: bytes, hook: "Any") -> None:
    """Import the entry, write the marker and call the entry with `config`.

    Args:
        entry: ``module:function``.
        marker: what to write to stdout, with a line feed, immediately before the call.
        config: the argument of the entry.
        hook: the sys.excepthook to put back before the call.

    Raises:
        SystemExit: with one line on stderr and status 1 if the entry cannot be imported or nobody reads the
            marker; with a traceback on stderr and status 1 if the entry raises.
    """
    module, _, function = entry.partition(":")
    try:
        call = getattr(import_module(module), function)
        _tidy_main()
        sys.excepthook = hook
        _write(marker + b"\n")
    except Exception as error:
        sys.exit("EasyCluster could not start: " + _describe(error))
    try:
        call(config)
    except Exception:
        # Not left to the interpreter: before 3.13 it shows no source lines of modules that are not on disk.
        import traceback

        traceback.print_exc()
        sys.exit(1)


def _tidy_main() -> None:
    """Remove what the short line left in __main__; scripts shall find it as new."""
    names = vars(sys.modules["__main__"])
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _describe(error: Exception) -> str:
    """Say in one line what went wrong, where in our code and on which Python."""
    place = f"{getattr(error, 'filename', None)}:{getattr(error, 'lineno', None)}"
    trace = error.__traceback__ if not isinstance(error, SyntaxError) else None
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__:
            place = f"{code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{type(error).__name__}: {error} (at {place}; {sys.executable} is Python {version})"
