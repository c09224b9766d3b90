"""The code has the public names and signatures of tests/data/public_names.md: no name more, none less."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import pytest

import easycluster
from easycluster import parallel, server
from easycluster_server._command_line.parser import make_parser

#: The module as it is at run time; type checkers see its stub alone.
facade: Any = easycluster

DOCUMENT = Path(__file__).parent / "data" / "public_names.md"


class Name(NamedTuple):
    """A documented name, and its signature if it has one that scripts use."""

    name: str
    signature: inspect.Signature | None


def read_tables() -> dict[str, dict[str, Name]]:
    """Return the documented names by the headings of their tables."""
    tables: dict[str, dict[str, Name]] = {}
    for section in DOCUMENT.read_text().split("\n## ")[1:]:
        heading, *lines = section.splitlines()
        rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
        tables[heading.strip("`")] = {
            name: Name(name, read_signature(cell))
            for names, cell in rows
            for name in re.findall(r"`([^`]+)`", names)
        }
    return tables


def read_signature(cell: str) -> inspect.Signature | None:
    """Return the signature that a cell begins with."""
    found = re.match(r"`\((.*)\)`", cell)
    return inspect.signature(eval(f"lambda {found[1]}: None")) if found else None


TABLES = read_tables()

#: Where the names of a table live, and the names that are found there.
PLACES: dict[str, tuple[Any, Callable[[], set[str]]]] = {
    "from easycluster import *": (easycluster, lambda: set(easycluster.__all__)),
    "easycluster, by name": (
        easycluster,
        lambda: {*facade._HOMES, *facade._SUBMODULES} - {*easycluster.__all__},
    ),
    "easycluster.parallel": (parallel, lambda: set(parallel.__all__)),
    "easycluster.server": (server, lambda: set(server.__all__)),
}

#: The classes whose attributes have tables, or instances of them; beside each what its own table leaves to another.
KINDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "Connection": (easycluster.Connection, ()),
    "Client": (easycluster.Client, ("Connection",)),
    "ThreadedClient": (easycluster.ThreadedClient, ("Connection", "Client")),
    "NonblockingResponse": (easycluster.NonblockingResponse, ()),
    "Outcome": (easycluster.Outcome, ()),
    "ClientGroup": (easycluster.ClientGroup, ()),
    "RemoteProxy": (easycluster.RemoteProxy, ()),
    "DefaultRemoteProxy": (easycluster.DefaultRemoteProxy, ("RemoteProxy",)),
    "SelfIterProxy": (easycluster.SelfIterProxy, ("RemoteProxy",)),
    "GeneratorProxy": (easycluster.GeneratorProxy, ("RemoteProxy",)),
    "FileProxy": (easycluster.FileProxy, ("RemoteProxy",)),
    "ServerObject": (easycluster.ServerObject, ()),
    "Hosts": (parallel.Hosts(), ()),
    "Server": (server.Server, ()),
    "QuietServer": (server.QuietServer, ("Server",)),
    "RemoteException": (easycluster.RemoteException(ValueError(), []), ()),
    "RemoteTraceback": (easycluster.RemoteTraceback("host", []), ()),
    "CallCancelled": (easycluster.CallCancelled(), ()),
    "CallTimeout": (easycluster.CallTimeout(), ()),
    "UnknownRemoteError": (easycluster.UnknownRemoteError(), ()),
}

#: Those whose methods are another class's, on the server.
FORWARDING = ("GeneratorProxy", "FileProxy")


def public_names(kind: Any) -> set[str]:
    """The public names of a class of ours or of an instance, without those of Python's own classes."""
    bases = (kind if isinstance(kind, type) else type(kind)).__mro__
    ours = [base for base in bases if base.__module__.startswith("easycluster")]
    names = {*getattr(kind, "__dict__", ())}.union(
        *((*vars(base), *inspect.get_annotations(base)) for base in ours)
    )
    return {name for name in names if not name.startswith("_")}


def find(owner: Any, name: str) -> Any:
    """Return a public name as its user sees it; None for an attribute that only instances have."""
    return getattr(owner, name, None)


def actual_signature(owner: Any, name: str) -> inspect.Signature:
    """The signature as callers see it, without types."""
    signature = inspect.signature(find(owner, name))
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    if inspect.isfunction(inspect.getattr_static(owner, name)) and isinstance(owner, type):
        del parameters[0]  # self
    return signature.replace(parameters=parameters, return_annotation=signature.empty)


def without_additions(actual: inspect.Signature, documented: inspect.Signature) -> inspect.Signature:
    """A signature without the keywords that came to the documented one: no call of a script misses them."""
    kept = [
        each
        for each in actual.parameters.values()
        if each.name in documented.parameters or each.kind is not each.KEYWORD_ONLY
    ]
    return actual.replace(parameters=kept)


@pytest.mark.parametrize("heading", PLACES)
def test_names_of_modules(heading: str) -> None:
    """Each module has exactly the names of its table."""
    place, names = PLACES[heading]

    assert names() == set(TABLES[heading])
    assert all(hasattr(place, name) for name in TABLES[heading])


def internal_names(kind: Any) -> set[str]:
    """The names of responses that are in use inside the library, as their docstring says."""
    if kind is not easycluster.NonblockingResponse:
        return set()
    assert "Names that begin with ``call_`` are in use inside the library." in " ".join(
        str(kind.__doc__).split()
    )
    return {name for name in public_names(kind) if name.startswith("call_")}


@pytest.mark.parametrize("heading", KINDS)
def test_names_of_classes(heading: str) -> None:
    """Each class has exactly the names of its table, beside those of the tables of its bases and internal ones."""
    kind, bases = KINDS[heading]
    inherited = {name for base in bases for name in TABLES[base]}

    assert public_names(kind) == {*TABLES.get(heading, ()), *inherited, *internal_names(kind)}


@pytest.mark.parametrize(
    "owner",
    [
        easycluster.Client(),
        easycluster.ThreadedClient(),
        easycluster.Client().name,
        easycluster.options(easycluster.Client(), timeout=1),
        easycluster.options(easycluster.Client().name, timeout=1),
        easycluster.RemoteProxy,
        easycluster.DefaultRemoteProxy,
        easycluster.GeneratorProxy,
    ],
    ids=lambda owner: owner.__name__ if isinstance(owner, type) else type(owner).__name__,
)
def test_names_belong_to_the_host(owner: Any) -> None:
    """Whatever these objects keep for themselves begins with ``_easycluster``: no name of the host is hidden. The one
    method for display is that of the object's class, if the class exports it."""
    bases = (owner if isinstance(owner, type) else type(owner)).__mro__
    names = {name for base in bases if base.__module__.startswith("easycluster") for name in vars(base)}
    if isinstance(owner, easycluster.Client):
        names.update(vars(owner))
    private = {name for name in names if name.startswith("_") and not name.startswith("__")}

    assert {name for name in private if not name.startswith("_easycluster_")} <= {"_repr_pretty_"}


def test_every_table_is_compared() -> None:
    """There is no table that no test looks at."""
    assert set(TABLES) <= {*PLACES, *KINDS, "easycluster, the command"}


WITH_SIGNATURE = [
    pytest.param(place, name, id=f"{heading}: {name.name}")
    for heading, (place, _) in {**PLACES, **KINDS}.items()
    for name in TABLES.get(heading, {}).values()
    if name.signature is not None
]


@pytest.mark.parametrize(("place", "name"), WITH_SIGNATURE)
def test_signatures(place: Any, name: Name) -> None:
    """What is called is called as its table says."""
    assert name.signature is not None
    actual = actual_signature(place, name.name)

    assert without_additions(actual, name.signature) == name.signature


@pytest.mark.parametrize(("place", "name"), WITH_SIGNATURE)
def test_annotations_resolve(place: Any, name: Name) -> None:
    """Tools that read annotations at run time can read those of all that a master calls."""
    found = find(place, name.name)
    if inspect.isroutine(found) and found.__module__.startswith(
        ("easycluster_client", "easycluster_protocol", "easycluster_server")
    ):
        assert get_type_hints(found) is not None


def test_functions_have_signatures() -> None:
    """Every function and method has its signature in the table, but those that the server defines."""
    places = {
        heading: place for heading, (place, _) in {**PLACES, **KINDS}.items() if heading not in FORWARDING
    }
    left_out = [
        f"{heading}: {name}"
        for heading, place in places.items()
        for name, documented in TABLES.get(heading, {}).items()
        if documented.signature is None and inspect.isroutine(find(place, name))
    ]

    assert left_out == []


def test_options_of_the_command() -> None:
    """`easycluster --help` knows the options of the table and no others."""
    options = {option for action in make_parser()._actions for option in action.option_strings}

    assert options == set(TABLES["easycluster, the command"])
