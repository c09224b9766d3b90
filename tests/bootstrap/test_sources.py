from __future__ import annotations

import py_compile
import sys
import zipfile
from pathlib import Path

import pytest

from easycluster_bootstrap import collect

FILES = {
    "sample_package/__init__.py": "raise AssertionError('imported')\n",
    "sample_package/__main__.py": "print('main')\n",
    "sample_package/_a.py": "NAME = 'caf\xe9'\n",
    "sample_package/data.txt": "no module\n",
    "sample_package/inner/__init__.py": "",
    "sample_package/inner/deep.py": "x = 1\n",
}

EXPECTED = {
    "sample_package": (FILES["sample_package/__init__.py"], True),
    "sample_package.__main__": (FILES["sample_package/__main__.py"], False),
    "sample_package._a": (FILES["sample_package/_a.py"], False),
    "sample_package.inner": ("", True),
    "sample_package.inner.deep": ("x = 1\n", False),
}


@pytest.fixture(params=["folder", "zip"])
def installed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package installed in a folder or in a zip file."""
    package = f"sample_{request.param}"
    site = tmp_path / "site"
    for name, text in FILES.items():
        path = site / name.replace("sample_package", package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if request.param == "zip":
        with zipfile.ZipFile(tmp_path / "site.zip", "w") as archive:
            for path in site.rglob("*.*"):
                archive.write(path, path.relative_to(site))
        site = tmp_path / "site.zip"
    monkeypatch.syspath_prepend(str(site))
    return package


def test_collects_every_module_without_importing(installed: str) -> None:
    """Every module of a package comes with its source and whether it is a package, and none is imported."""
    sources = collect(installed)

    assert {name.replace(installed, "sample_package"): value for name, value in sources.items()} == EXPECTED
    assert installed not in sys.modules


def test_several_packages_come_together() -> None:
    """Packages and plain modules can be asked for at once."""
    sources = collect("json", "keyword")

    assert {"json", "json.decoder", "keyword"} <= set(sources)
    assert sources["json"][1]
    assert not sources["keyword"][1]


def test_result_belongs_to_the_caller() -> None:
    """The sources are read once, but a caller that changes its dictionary changes no other's."""
    first = collect("json")
    text = first["json"][0]
    first.clear()

    assert collect("json")["json"][0] is text


def test_missing_package_is_named() -> None:
    """A package that is not installed is named in the error."""
    with pytest.raises(ModuleNotFoundError, match="'sample_missing' is not installed") as caught:
        collect("sample_missing")

    assert caught.value.name == "sample_missing"


def test_module_without_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is installed as compiled file alone is named in the error."""
    source = tmp_path / "sample_compiled.py"
    source.write_text("x = 1\n")
    py_compile.compile(str(source), cfile=str(tmp_path / "sample_compiled.pyc"))
    source.unlink()
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(ImportError, match="'sample_compiled' is installed without its source"):
        collect("sample_compiled")
