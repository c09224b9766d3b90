"""What a host has around a login: its Pythons, home, locale and environment, behind a real sshd."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from easycluster import ConnectError, RemoteException, define_common
from helpers.exercises import DEFINITIONS, assert_answers, assert_works
from helpers.logins import Host, make_host, serve_logins
from helpers.pythons import every_python
from helpers.sshd import Sshd

pytestmark = pytest.mark.needs_sshd

sshd_of_logins = pytest.fixture(scope="module")(serve_logins)


@pytest.fixture
def host(sshd_of_logins: Sshd, tmp_path: Path, no_leaks: None) -> Host:
    """A host; clients have the functions of `exercises`."""
    define_common(DEFINITIONS)
    return make_host(sshd_of_logins, tmp_path, no_leaks)


# Its Python.


def test_without_python3(host: Host) -> None:
    """A host whose only Python is named `python` is found to have one."""
    host.use_this_python("python")
    with host.connect() as client:
        assert_works(client)
        assert client.call("shutil.which", "python3") is None


@pytest.mark.needs_mounts
def test_platform_python(host: Host) -> None:
    """A host that keeps its only Python in /usr/libexec, as RHEL 8 does, is found to have one."""
    link = f"mount -t tmpfs tmpfs /usr/libexec && ln -s {shlex.quote(sys.executable)} /usr/libexec/platform-python"
    host.python = None
    host.prefix = f"""unshare --mount sh -c '{link} && exec "$@"' sh"""
    with host.connect() as client:
        assert_answers(client)
        assert client.sys.executable.value == "/usr/libexec/platform-python"


def test_without_any_python(host: Host) -> None:
    """A host without any Python is an error that says what was looked for."""
    host.python = None
    if os.path.exists("/usr/libexec/platform-python"):
        pytest.skip("this machine has a Python that every host on it has")
    with pytest.raises(
        ConnectError, match="looked for: python3 /usr/libexec/platform-python python"
    ) as caught:
        host.connect()

    assert "it has no Python that can be found" in str(caught.value)


# Its home.


@every_python()
def test_home_full_of_standard_names(host: Host, version: str) -> None:
    """Files of the home that are named as standard modules are neither run nor in the way."""
    assert host.home is not None
    ran = host.home / "ran"
    trap = f"open({str(ran)!r}, 'a').write(__name__ + ' ')\nraise ImportError('this is a file of the home')\n"
    for name in sorted(sys.stdlib_module_names):
        host.write(f"{name}.py", trap)
    host.write("encodings/__init__.py", trap)
    host.write("encodings/utf_8.py", trap)
    host.use_python(version)
    with host.connect() as client:
        assert_answers(client)
        assert client.thread(threadid=5)[0] is False
        client.call("print", "printed")
        folder = client.call("os.getcwd")

    assert folder == str(host.home)
    assert (ran.read_text() if ran.exists() else "nothing") == "nothing"


@pytest.mark.parametrize("home", ["/proc", "/no/such/home", None], ids=["not writable", "missing", "not set"])
def test_home_of_no_use(host: Host, home: str | None) -> None:
    """A home that cannot be written, is not there, or is not known, is not needed."""
    host.home = None if home is None else Path(home)
    with host.connect() as client:
        assert_works(client)
        assert client.call("os.environ.get", "HOME") == home
        assert client.call("os.getcwd") == ("/proc" if home == "/proc" else "/")


def test_umask(host: Host) -> None:
    """The umask of the host is the server's, whatever it is."""
    host.umask = "077"
    with host.connect() as client:
        assert_works(client)
        assert client.call("os.umask", 0) == 0o077


# Its environment.


def assert_unicode(host: Host, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the locale, all of Unicode comes and goes unharmed."""
    define_common("def größe(x):\n    print(x)\n    raise Broken(x + 'ö')  # ß\n")
    with host.connect() as client:
        assert client.add("ä", "\N{SNOWMAN}") == "ä\N{SNOWMAN}"
        with pytest.raises(RemoteException, match="\N{SNOWMAN}ö") as caught:
            client.call("größe", "\N{SNOWMAN}", origexc=False)

    trace = "".join(caught.value.text)
    assert "    raise Broken(x + 'ö')  # ß\n" in trace
    assert "in größe\n" in trace
    assert trace.endswith("Broken: \N{SNOWMAN}ö\n")
    assert "\N{SNOWMAN}\n" in capfd.readouterr().err


@every_python()
def test_c_locale(host: Host, version: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In the C locale names, arguments, output and stack traces are those of any other."""
    host.use_python(version)
    host.env["LC_ALL"] = "C"

    assert_unicode(host, capfd)


def test_locale_that_the_host_does_not_have(host: Host, capfd: pytest.CaptureFixture[str]) -> None:
    """A locale that ssh brought along and the host does not know, of which shells complain, is no obstacle."""
    host.shell = ["/bin/bash", "-c"]
    host.env["LC_ALL"] = "xx_XX.UTF-8"

    assert_unicode(host, capfd)


@every_python()
def test_settings_of_python(host: Host, version: str, capfd: pytest.CaptureFixture[str]) -> None:
    """No setting of Python's that a host may have, such as that warnings are errors, finds fault with us."""
    host.use_python(version)
    host.env.update(
        PYTHONWARNINGS="error",
        PYTHONDEVMODE="1",
        PYTHONOPTIMIZE="2",
        PYTHONUNBUFFERED="1",
        PYTHONHASHSEED="0",
        PYTHONINSPECT="1",
        PYTHONSTARTUP=str(host.write("startup.py", "raise SystemExit('this is for interactive sessions')")),
    )
    with host.connect() as client:
        assert_works(client)
        assert client.sys.warnoptions.value[-1] == "error"

    assert capfd.readouterr().err == ""


def test_pythonpath(host: Host) -> None:
    """Modules on the host's PYTHONPATH, and in its home, are there for remote code."""
    host.write("modules/on_path.py", "VALUE = 'on path'")
    host.write("in_home.py", "VALUE = 'in home'")
    host.env["PYTHONPATH"] = f"{host.home}/modules:"
    with host.connect() as client:
        assert_works(client)
        assert (client.on_path.VALUE.value, client.in_home.VALUE.value) == ("on path", "in home")
