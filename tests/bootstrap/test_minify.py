"""The minified source does the same as the original, on the same lines."""

from __future__ import annotations

import importlib.util
import io
import tokenize
import traceback
import warnings
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from bootstrap.conftest import PYTHONS, Host, minify_only, version
from bootstrap.minify_check import assert_same
from bootstrap.obstacles import OBSTACLES
from bootstrap.rename_check import assert_renamed
from easycluster_bootstrap import collect
from easycluster_bootstrap._minify import minify

OURS = {
    name: source
    for name, (source, _) in collect(
        "easycluster",
        "easycluster_protocol",
        "easycluster_server",
        "easycluster_client",
        "easycluster_bootstrap",
    ).items()
}
SHIPPED = {name: source for name, source in OURS.items() if not name.startswith("easycluster_client")}
STANDARD = [
    "argparse",
    "asyncio.base_events",
    "dataclasses",
    "enum",
    "inspect",
    "tokenize",
    "typing",
    "unittest.mock",
]
#: The flag by which code objects of Python 3.14 and newer say that there is a docstring; `inspect` of older has no
#: such name.
HAS_DOCSTRING = 0x4000000


def outcome(source: str) -> tuple[dict[str, str], list[int | None]]:
    """Runs a source that raises in the end; returns its values, and the lines of the traceback."""
    namespace: dict[str, Any] = {"__name__": "case"}
    lines: list[int | None] = []
    code = compile(source, "<case>", "exec", dont_inherit=True)
    try:
        exec(code, namespace)
    except LookupError as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)]
    others = (FunctionType, ModuleType, type)
    return {
        name: repr(value)
        for name, value in namespace.items()
        if not name.startswith("__") and not isinstance(value, others) and " at 0x" not in repr(value)
    }, lines


def assert_equivalent(source: str) -> str:
    """Checks the removals, then the renames, and returns the minified source."""
    plain, result = minify_only(source), minify(source)
    source = source.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert_same(source, plain)
    assert_renamed(plain, result)
    return result


def functions(code: CodeType) -> Iterator[tuple[Any, ...]]:
    """Lists functions and classes: their first lines, and the local names of functions."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType) and not inner.co_name.startswith("__annotate"):
            is_function = inner.co_flags & CO_OPTIMIZED and not inner.co_name.startswith("<generic")
            yield inner.co_name, inner.co_firstlineno
            if is_function:
                yield inner.co_varnames, inner.co_freevars, inner.co_flags & ~HAS_DOCSTRING
            yield from functions(inner)


@pytest.mark.parametrize("source", OBSTACLES.values(), ids=OBSTACLES)
def test_minified_source_does_the_same(source: str) -> None:
    """The values of a module, its functions, and the lines of functions and tracebacks are as before."""
    last = "def last(): raise LookupError(\n'x')\n\nlast()"
    source += last if source.endswith(("\n", "\r")) else "\n" + last

    result = assert_equivalent(source)

    source = source.lstrip("\ufeff")
    values, lines = outcome(source)
    assert outcome(result) == (values, lines)
    assert len(lines) == 3
    before, after = (
        compile(text, "<case>", "exec", dont_inherit=True) for text in (source, minify_only(source))
    )
    assert list(functions(after)) == list(functions(before))


@pytest.mark.parametrize("source", OBSTACLES.values(), ids=OBSTACLES)
def test_minified_source_cannot_get_shorter(source: str) -> None:
    """Minified once more, a source stays as it is."""
    result = minify(source)

    assert minify(result) == result


def test_no_warning_is_added() -> None:
    """A blank is put where Python could do without, but warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = minify("print(1if 0 else 2,0x1for 3, 1.if 1. else 1jor 2)\n")

    assert result == "print(1 if 0 else 2,0x1f or 3,1. if 1. else 1j or 2)\n"


@pytest.mark.parametrize(
    ("source", "line"), [("x = 1\nx = = 2\n", 2), ("x = 1\n\nif x:\npass", 4), ("\n\n(", 3), ("'''\n\n", 1)]
)
def test_source_that_cannot_be_parsed_is_refused(source: str, line: int) -> None:
    """A source that this Python cannot parse is a SyntaxError with the line."""
    with pytest.raises(SyntaxError) as caught:
        minify(source)

    assert caught.value.lineno == line


@pytest.mark.parametrize("source", ["x = 1\0", "x = '\udc80'"], ids=["NUL", "lone surrogate"])
def test_text_that_is_no_source_is_refused(source: str) -> None:
    """A text that cannot be that of a module is refused."""
    with pytest.raises((SyntaxError, ValueError)):
        minify(source)


@pytest.mark.parametrize("name", STANDARD)
def test_standard_modules(name: str) -> None:
    """Large modules by many authors lose the parts without effect and nothing else."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")

    result = assert_equivalent(source)

    assert len(result) < 0.8 * len(source)
    assert minify(result) == result


@pytest.mark.parametrize("name", OURS)
def test_our_modules(name: str) -> None:
    """All our modules lose the parts without effect and nothing else."""
    result = assert_equivalent(OURS[name])

    # Of tokens, because lines that begin so may stand in a text: a template of a file, for example.
    tokens = tokenize.generate_tokens(io.StringIO(result).readline)
    assert not any(token.type == tokenize.COMMENT for token in tokens)
    for gone in ("from __future__", "if TYPE_CHECKING:"):
        assert not any(line.strip().startswith(gone) for line in result.split("\n"))


def test_cloudpickle(host: Host, python: str) -> None:
    """Cloudpickle, sent minified, pickles a function by value on every Python that it supports."""
    (name,) = {name for name, path in PYTHONS.items() if path == python}
    if version(name) < (3, 8):
        pytest.skip("cloudpickle needs Python 3.8")
    sources = {name: source for name, (source, _) in collect("cloudpickle").items()}
    entry = "import cloudpickle, pickle\ndef main(config): print(pickle.loads(cloudpickle.dumps(lambda x: x + 1))(1))\n"

    result = host.start(python, {**sources, "easycluster_try": entry})

    assert (result.output, result.errors) == (b"2\n", "")


def test_all_sent_modules_can_be_imported(host: Host, python: str) -> None:
    """Every module that can be sent is imported from a bundle, by every Python from 3.6 on."""
    of_masters = {
        "easycluster.__main__",
        "easycluster.parallel",
        "easycluster_server._system.transport_types",
    }
    names = [
        name
        for name in SHIPPED
        if not name.startswith("easycluster_bootstrap")
        and name not in of_masters
        and "._system.windows" not in name
    ]
    entry = f"import importlib\ndef main(config):\n    for name in {names}: importlib.import_module(name)\n"
    sources = {name: SHIPPED[name] for name in SHIPPED if not name.startswith("easycluster_bootstrap")}

    result = host.start(python, {**sources, "easycluster_try": entry})

    assert (result.status, result.errors) == (0, "")
