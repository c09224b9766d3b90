from __future__ import annotations

import sys

import pytest

from bootstrap.conftest import Host
from easycluster_bootstrap import pack
from easycluster_bootstrap._on_host.importer import _Finder

# Stands for code that only a newer Python compiles: the master parses it without a complaint.
UNCOMPILABLE = "x = 1\nreturn\n"

FAILING = "def fail():\n    raise KeyError('reason')  # here\n"


def test_traceback_of_an_entry_that_raises_shows_source_lines(host: Host, python: str) -> None:
    """An entry that raises ends the process with status 1 and a traceback with our minified source lines."""
    outcome = host.start(
        python,
        {
            "easycluster_try": "from easycluster_pack import inner\ndef main(config):\n    inner.fail()\n",
            "easycluster_pack": "",
            "easycluster_pack.inner": "def fail():\n    raise KeyError('reason')  # here\n",
        },
    )

    assert outcome.status == 1
    assert outcome.errors.startswith("Traceback (most recent call last):\n")
    assert '"easycluster-bundle/easycluster_try.py", line 3, in main\n    inner.fail()\n' in outcome.errors
    assert "    raise KeyError('reason')\n" in outcome.errors
    assert outcome.errors.endswith("KeyError: 'reason'\n")


def test_traceback_of_an_import_shows_no_importer(host: Host, python: str) -> None:
    """The importer's own frames stay out of the traceback of a module that fails while imported."""
    outcome = host.start(
        python,
        {
            "easycluster_try": "def main(config):\n    import easycluster_bad\n",
            "easycluster_bad": "1 / 0\n",
        },
    )

    files = [line.split('"')[1] for line in outcome.errors.splitlines() if line.startswith('  File "')]
    assert outcome.status == 1
    assert files == [
        "easycluster-bundle/easycluster_bootstrap.py",
        "easycluster-bundle/easycluster_try.py",
        "easycluster-bundle/easycluster_bad.py",
    ]


def test_getsource_works_also_in_a_forked_process(host: Host, python: str) -> None:
    """inspect.getsource gives the text of functions, classes and the importer, after a fork too."""
    outcome = host.start(
        python,
        """
import inspect, os, sys
class Thing:
    pass  # thing
def main(config):
    if os.fork():
        assert os.wait()[1] == 0
    for i in (main, Thing, sys.modules["easycluster_bootstrap"].restore_path):
        print(inspect.getsource(i).splitlines()[-1].strip(), flush=True)
""",
    )

    lines = b"print(inspect.getsource(i).splitlines()[-1].strip(),flush=True)\npass\n_saved=None\n"
    assert (outcome.status, outcome.output, outcome.errors) == (0, lines * 2, "")


def test_modules_look_as_any_other(host: Host, python: str) -> None:
    """Modules and packages of a bundle have the attributes that Python gives to modules."""
    outcome = host.start(
        python,
        {
            "easycluster_try": """
import importlib
def main(config):
    for name in ("easycluster_pack", "easycluster_pack.inner", "easycluster_bootstrap"):
        module = importlib.import_module(name)
        assert module.__spec__.name == module.__name__ == name
        assert module.__loader__ is module.__spec__.loader
        print(module.__file__, module.__package__, getattr(module, "__path__", None))
""",
            "easycluster_pack": "from . import inner\n",
            "easycluster_pack.inner": "from easycluster_pack import __name__ as parent\n",
        },
    )

    assert outcome.errors == ""
    assert outcome.output is not None
    assert outcome.output.decode().splitlines()[:2] == [
        "easycluster-bundle/easycluster_pack/__init__.py easycluster_pack []",
        "easycluster-bundle/easycluster_pack/inner.py easycluster_pack None",
    ]


@pytest.mark.parametrize("preloaded", [False, True], ids=["on disk", "imported at start-up"])
def test_installed_copies_on_the_host_are_never_used(host: Host, python: str, preloaded: bool) -> None:
    """Copies of EasyCluster that the host has installed are not found, or give way to the modules that were sent."""
    for name in ("easycluster", "easycluster_pack", "easycluster_server"):
        host.write(f"lib/{name}/__init__.py", "WHERE = 'disk'\n")
        host.write(f"lib/{name}/extra.py", "WHERE = 'disk'\n")
    host.write("easycluster_here.py", "WHERE = 'disk'\n")
    if preloaded:
        host.write("lib/sitecustomize.py", "import easycluster_server, easycluster_pack.extra\n")
    host.env["PYTHONPATH"] = str(host.home / "lib")

    outcome = host.start(
        python,
        {
            "easycluster_try": """
import importlib, importlib.util, sys
import easycluster_pack
def main(config):
    sys.modules["easycluster_bootstrap"].restore_path()
    print(easycluster_pack.WHERE)
    names = "easycluster easycluster.extra easycluster_server easycluster_pack.extra easycluster_here".split()
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            print(error.name)
""",
            "easycluster_pack": "WHERE = 'bundle'\n",
            "easycluster_pack.used": "",
        },
    )

    assert outcome.errors == ""
    assert outcome.output is not None
    assert outcome.output.decode().split() == [
        "bundle",
        "easycluster",
        "easycluster",
        "easycluster_server",
        "easycluster_pack.extra",
        "easycluster_here",
    ]


def test_modules_compile_when_imported(host: Host, python: str) -> None:
    """A module that is never imported is never compiled, so that its code costs and breaks nothing."""
    outcome = host.start(
        python, {"easycluster_try": "def main(config): print('fine')\n", "easycluster_bad": UNCOMPILABLE}
    )

    assert (outcome.output, outcome.errors) == (b"fine\n", "")


BROKEN = {
    "syntax": (UNCOMPILABLE, "SyntaxError: 'return' outside function", "easycluster_used.py:2"),
    "import": (
        "\nimport no_such_module\n",
        "ModuleNotFoundError: No module named 'no_such_module'",
        "easycluster_used.py:2",
    ),
    "ours": ("import easycluster_client\n", "No module named 'easycluster_client'", "easycluster_used.py:1"),
    "code": ("\n\n{}['x']\n", "KeyError: 'x'", "easycluster_used.py:3"),
}


@pytest.mark.parametrize(("text", "reason", "place"), BROKEN.values(), ids=BROKEN)
def test_entry_that_cannot_be_imported_is_one_line(
    host: Host, python: str, text: str, reason: str, place: str
) -> None:
    """An error while our code is imported is one line with reason, place and Python, and no marker."""
    outcome = host.start(
        python,
        {"easycluster_try": "import easycluster_used\ndef main(config): pass\n", "easycluster_used": text},
    )

    assert outcome.status == 1
    assert outcome.output is None
    assert outcome.errors.startswith("EasyCluster could not start: ")
    assert outcome.errors.count("\n") == 1
    for part in (reason, place, f"{python} is Python "):
        assert part in outcome.errors


def test_missing_entry_is_one_line(host: Host) -> None:
    """A module without the function that was named as entry is one line on stderr."""
    outcome = host.start(sys.executable, "def other(config): pass\n")

    assert outcome.status == 1
    assert "has no attribute 'main'" in outcome.errors
    assert outcome.errors.count("\n") == 1


def test_stdout_that_nobody_reads_is_one_line(host: Host) -> None:
    """If the marker cannot be written, the entry is not called and stderr has one line."""
    outcome = host.start(f"exec >&- ; {sys.executable}", "def main(config): raise AssertionError\n")

    assert outcome.status == 1
    assert outcome.errors.startswith("EasyCluster could not start: OSError: ")
    assert outcome.errors.count("\n") == 1


def test_exit_status_of_the_entry_is_kept(host: Host, python: str) -> None:
    """sys.exit in the entry works as in any program."""
    outcome = host.start(python, "import sys\ndef main(config): sys.exit(7)\n")

    assert (outcome.status, outcome.output, outcome.errors) == (7, b"", "")


def test_scripts_find_the_interpreter_as_new(host: Host, python: str) -> None:
    """The entry finds __main__ without names of the bootstrap, and the hook for exceptions as it was."""
    expected = host.shell(f"{python} -c 'import __main__; print(dir())'").stdout.decode()

    outcome = host.start(
        python,
        """
import sys
def main(config):
    print(dir(sys.modules["__main__"]) + ["__main__"] * (config != b""))
    assert sys.excepthook is sys.__excepthook__
""",
    )

    assert outcome.errors == ""
    assert outcome.output is not None
    assert outcome.output.decode() == expected.replace(", '__main__'", "")


def test_modules_that_come_later(host: Host, python: str) -> None:
    """The entry can add modules, which are found in front of those on disk, show their lines and leave no bytecode. Damaged ones, and more than 16 MiB, are refused."""
    host.write("lib/later.py", "WHERE = 'disk'\n")
    host.env["PYTHONPATH"] = str(host.home / "lib")
    later = {"later": ("from .inner import fail\nWHERE = __file__\n", True), "later.inner": (FAILING, False)}

    outcome = host.start(
        python,
        """
import os, sys, traceback
def main(config):
    bootstrap = sys.modules["easycluster_bootstrap"]
    bootstrap.restore_path()
    bootstrap.add(config)
    import later
    print(later.WHERE, later.__path__)
    try:
        later.fail()
    except KeyError:
        traceback.print_exc()
    import zlib
    for damaged in (config[:-1], b"no", zlib.compress(b"big 0 17825792\\n" + bytes(17 << 20))):
        try:
            bootstrap.add(damaged)
        except Exception as error:
            print(type(error).__name__)
""",
        config=pack(later),
    )

    assert outcome.output == b"easycluster-bundle/later/__init__.py []\nValueError\nerror\nValueError\n"
    assert '"easycluster-bundle/later/inner.py", line 2, in fail\n    raise KeyError' in outcome.errors
    assert sorted(host.home.rglob("*")) == [host.home / "lib", host.home / "lib" / "later.py"]


def test_only_our_names_are_hidden() -> None:
    """The finder says nothing about foreign names, and refuses ours that were not sent."""
    finder = _Finder()

    assert finder.find_spec("json") is None
    with pytest.raises(ModuleNotFoundError, match="'easycluster_y'"):
        finder.find_spec("easycluster_y")


def test_our_modules_import_pythons_own(host: Host, python: str) -> None:
    """Also after `restore_path` our modules find Python's own modules, and the user's code finds the user's."""
    host.write("textwrap.py", "own = False\n")
    host.write("wave.py", "own = False\n")
    outcome = host.start(
        python,
        {
            "easycluster_try": "import easycluster_bootstrap, easycluster_pack\ndef main(config):\n"
            " easycluster_bootstrap.restore_path()\n"
            " from easycluster_pack import inner\n import wave\n"
            " print(hasattr(inner.textwrap, 'dedent'), hasattr(wave, 'own'))\n",
            "easycluster_pack": "",
            "easycluster_pack.inner": "import textwrap\n",
        },
    )

    assert (outcome.output, outcome.errors) == (b"True True\n", "")


def test_modules_that_python_lacks_are_not_the_users(host: Host, python: str) -> None:
    """One of our modules, or of Python's own, that tries whether Python has a module never gets the user's."""
    host.write("nt.py", "raise OSError('this is a file of the home')\n")
    outcome = host.start(
        python,
        {
            "easycluster_try": "import easycluster_bootstrap, easycluster_pack, sys\ndef main(config):\n"
            " easycluster_bootstrap.restore_path()\n"
            " if hasattr(sys, 'stdlib_module_names'):\n"  # Python 3.10 and newer know what Pythons have
            "  from easycluster_pack import inner\n"
            " print(*[name for name in sys.modules if name == 'nt'])\n",
            "easycluster_pack": "",
            "easycluster_pack.inner": "try:\n import nt\nexcept ImportError:\n pass\n",
        },
    )

    assert (outcome.output, outcome.errors) == (b"\n", "")


def test_no_bytecode_of_modules_that_ours_import(host: Host, python: str) -> None:
    """Also after `restore_path` no bytecode is written for modules that ours import, submodules too; for modules that
    the user's code imports, it is."""
    for name in ("other", "others", "users"):
        host.write(f"lib/{name}/__init__.py", "")
        host.write(f"lib/{name}/inner.py", "")
    host.env["PYTHONPATH"] = str(host.home / "lib")
    outcome = host.start(
        python,
        {
            "easycluster_try": "import easycluster_bootstrap, easycluster_pack, sys\ndef main(config):\n"
            " easycluster_bootstrap.restore_path()\n"
            " from easycluster_pack import used\n import users.inner\n",
            "easycluster_pack": "",
            "easycluster_pack.used": "import other.inner\nfrom others import inner\n",
        },
    )

    assert (outcome.output, outcome.errors) == (b"", "")
    written = {path.parent.parent.name for path in host.home.rglob("*.pyc")}
    assert written == {"users"}


def test_when_imported(host: Host, python: str) -> None:
    """A callback for a module of Python's own is called when somebody has imported it, or at once."""
    outcome = host.start(
        python,
        """
import easycluster_bootstrap, sys
told = []
def main(config):
    easycluster_bootstrap.when_imported("sys", told.append)
    sys.modules.pop("textwrap", None)
    easycluster_bootstrap.when_imported("textwrap", lambda module: told.append(module.dedent))
    easycluster_bootstrap.restore_path()
    before = list(told)
    import textwrap
    print(before == [sys], told == [sys, textwrap.dedent])
""",
    )

    assert (outcome.output, outcome.errors) == (b"True True\n", "")
