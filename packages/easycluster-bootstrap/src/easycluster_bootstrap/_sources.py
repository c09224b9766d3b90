"""Reads the sources of installed packages, wherever they are installed."""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from typing import Dict, Iterator, Optional, Tuple


def collect(*packages: str) -> Dict[str, Tuple[str, bool]]:
    """Return the sources of all modules of installed packages, read once per process.

    The packages are not imported, and may lie in a folder or in a zip file.

    Args:
        packages: names of top-level packages or modules.

    Returns:
        Full module name -> (source text, whether it is a package).

    Raises:
        ModuleNotFoundError: a package is not installed.
        ImportError: a module has no source, as in an installation of compiled files alone.
    """
    sources: Dict[str, Tuple[str, bool]] = {}
    for package in packages:
        sources.update(_collect_package(package))
    return sources


@lru_cache(maxsize=None)
def _collect_package(package: str) -> Dict[str, Tuple[str, bool]]:
    return {
        name: (_source(name, spec), _is_package(spec)) for name, spec in _specs(package, find_spec(package))
    }


def _specs(name: str, spec: Optional[ModuleSpec]) -> Iterator[Tuple[str, ModuleSpec]]:
    if spec is None:
        raise ModuleNotFoundError(f"{name!r} is not installed, so its source cannot be sent", name=name)
    yield name, spec
    locations = spec.submodule_search_locations
    for module in pkgutil.iter_modules(locations) if locations is not None else ():
        child = f"{name}.{module.name}"
        yield from _specs(child, PathFinder.find_spec(child, locations))


def _is_package(spec: ModuleSpec) -> bool:
    return spec.submodule_search_locations is not None


def _source(name: str, spec: ModuleSpec) -> str:
    get_source = getattr(spec.loader, "get_source", None)
    source: Optional[str] = get_source(name) if get_source is not None else None
    if source is None:
        raise ImportError(f"{name!r} is installed without its source, so it cannot be sent", name=name)
    return source
