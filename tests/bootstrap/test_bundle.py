from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from bootstrap.conftest import Host
from easycluster_bootstrap import _bundle, _minify, bundle, new_marker, remote_command
from helpers.bundles import read_records

SOURCES = {"easycluster_try": ("def main(config): pass\n", False)}


def test_markers_differ() -> None:
    """Every marker is new, visible ASCII, and long enough that no banner holds it by chance."""
    one, other = new_marker(), new_marker()

    assert one != other
    assert one.isascii()
    assert len(one.split()) == 1
    assert len(one) >= 32


def test_marker_is_not_readable_in_the_bundle() -> None:
    """A host that echoes its input does not thereby send the marker."""
    marker = new_marker()

    assert marker not in bundle(SOURCES, "easycluster_try:main", marker)


@pytest.mark.parametrize(
    "entry",
    ["easycluster_try", "easycluster_try:", ":main", "easycluster_try:a.b", "os:system", "a b:c", "x\n:y"],
)
def test_bad_entry_is_refused(entry: str) -> None:
    """An entry that is no module:function of the bundle is refused with the entry in the error."""
    with pytest.raises(ValueError, match="entry") as caught:
        bundle(SOURCES, entry, b"marker")

    assert repr(entry) in str(caught.value)


@pytest.mark.parametrize("marker", [b"", b"a b", b"a\n", "ä".encode()])
def test_bad_marker_is_refused(marker: bytes) -> None:
    """A marker that could be cut by a line feed, or is empty, is refused."""
    with pytest.raises(ValueError, match="marker"):
        bundle(SOURCES, "easycluster_try:main", marker)


@pytest.mark.parametrize(
    "name", ["", "a-b", "a.", "a b", "a\nb", "easycluster_bootstrap", "pack.age", "easycluster_try.x"]
)
def test_bad_module_name_is_refused(name: str) -> None:
    """A name that is no module's, that is the importer's own, or whose package is missing is refused."""
    with pytest.raises(ValueError, match=r"bundle|module") as caught:
        bundle({**SOURCES, name: ("", False)}, "easycluster_try:main", b"marker")

    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("x = 1\nx = = 2\n", SyntaxError, ["(easycluster_bad, line 2)"]),
        ("x = 1\n'\udc80'\n", ValueError, ["'easycluster_bad'", "surrogates"]),
    ],
    ids=["syntax", "lone surrogate"],
)
def test_module_that_cannot_be_sent_is_named(source: str, error: type[Exception], words: list[str]) -> None:
    """A module that the master cannot parse is refused before anything is sent, by name and line."""
    with pytest.raises(error) as caught:
        bundle({**SOURCES, "easycluster_bad": (source, False)}, "easycluster_try:main", b"marker")

    for word in words:
        assert word in str(caught.value)


def clear_caches() -> None:
    """Forgets all bundles."""
    for cached in (_bundle._modules_frame, _bundle._minify_source):
        cached.cache_clear()


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    """No bundle of another `minify` comes from the caches, or stays in them."""
    clear_caches()
    yield
    clear_caches()


def test_everything_that_is_sent_is_minified_once(
    host: Host, monkeypatch: pytest.MonkeyPatch, fresh_caches: None
) -> None:
    """Stage, importer and modules are minified, and only for the first of many connections."""
    seen: list[str] = []

    def minify(source: str) -> str:
        seen.append(source)
        return source + "# minified"

    monkeypatch.setattr(_minify, "minify", minify)
    entry = "import inspect, sys\ndef main(config): print(inspect.getsource(sys.modules[__name__]))\n"
    outcomes = [host.start(sys.executable, entry) for _ in range(2)]
    host.start(sys.executable, {"easycluster_try": entry, "easycluster_more": ""})

    assert len(seen) == 4
    assert len(set(seen)) == 4
    assert all(outcome.output and b"# minified" in outcome.output for outcome in outcomes)


def test_modules_are_sent_minified(host: Host) -> None:
    """On the host a module has no comments, and its lines have the numbers that they have here."""
    outcome = host.start(
        sys.executable,
        "import inspect, sys  # first\n\n# second\n"
        "def main(config: bytes) -> None:\n    print(inspect.getsource(sys.modules[__name__]))\n",
    )

    assert outcome.output == (
        b"import inspect,sys\n\n\ndef main(config):\n print(inspect.getsource(sys.modules[__name__]))\n\n"
    )


def test_a_package_without_a_source_is_implied(host: Host) -> None:
    """Packages whose source is empty are not sent where a module directly in them is, and are there nevertheless."""
    entry = """
import sys
def main(config):
    import easycluster_a.b.c, easycluster_d
    for name in ("easycluster_a", "easycluster_a.b", "easycluster_d"):
        module = sys.modules[name]
        print(name, module.__path__, module.__file__)
"""
    sources = {
        "easycluster_try": (entry, False),
        "easycluster_a": ('"""Only a docstring."""\n', True),
        "easycluster_a.b": ("", True),
        "easycluster_a.b.c": ("x = 1\n", False),
        "easycluster_a.e": ("x = 2\n", False),
        "easycluster_d": ("", True),
    }

    bundled = bundle(sources, "easycluster_try:main", b"marker")
    result = host.shell(remote_command(sys.executable), bundled)

    assert sorted(read_records(bundled)) == [
        "easycluster_a.b.c",
        "easycluster_a.e",
        "easycluster_d",
        "easycluster_try",
    ]
    assert result.stderr == b""
    assert result.stdout.decode().splitlines()[1:] == [
        "easycluster_a [] easycluster-bundle/easycluster_a/__init__.py",
        "easycluster_a.b [] easycluster-bundle/easycluster_a/b/__init__.py",
        "easycluster_d [] easycluster-bundle/easycluster_d/__init__.py",
    ]
