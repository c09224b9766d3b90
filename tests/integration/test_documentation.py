"""The examples of EasyCluster's documentation, as it was written for Python 2, run word for word.

Whatever had to be changed in an example is listed in the docstring of its test. That the server listens
on another port than the default one and that a spec's options lead ``ssh`` to our own sshd is arranged
around the examples, not in them.
"""

from __future__ import annotations

import doctest
import getpass
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import easycluster_client._connect as connecting
from easycluster import Client, RemoteException, define_common, parse_connection_spec
from helpers import leaks
from helpers.servers import Server, generate_key_file
from helpers.sshd import Sshd, free_port
from helpers.waiting import PATIENCE, wait_until

StartServer = Callable[..., Server]

#: Word for word, "connect_example.py" of the section "Connecting to a server".
CONNECT_EXAMPLE = """\
# File: connect_example.py

import sys
import optparse
import easycluster

options = optparse.OptionParser(description='Do some stuff')
easycluster.add_key_options(options)
opts, args = options.parse_args()
default_key = easycluster.key_from_options(opts)
remotes = []
for spec in args:
    params = easycluster.parse_connection_spec(spec, default_key=default_key)
    rmt = easycluster.Client(**params)
    remotes.append(rmt)
"""

#: The same with argparse, which came with Python 2.7 and 3.2.
CONNECT_EXAMPLE_ARGPARSE = """\
# File: connect_example.py

import sys
import argparse
import easycluster

options = argparse.ArgumentParser(description='Do some stuff')
easycluster.add_key_options(options)
options.add_argument('specs', nargs='*')
opts = options.parse_args()
default_key = easycluster.key_from_options(opts)
remotes = []
for spec in opts.specs:
    params = easycluster.parse_connection_spec(spec, default_key=default_key)
    rmt = easycluster.Client(**params)
    remotes.append(rmt)
"""

#: What makes either of them the "do_stuff.py" of the command lines: it does some stuff.
DO_STUFF = """
for rmt in remotes:
    print(rmt.peername, rmt.eval('6 * 7'))
"""

DEFINE_COMMON = """\
>>> from easycluster import *
>>> define_common('''
... def addvals(a, b):
...     return a + b
... def subvals(a, b):
...     return a - b
... ''')
>>> key = read_key_file('secret.key')
>>> rmt = Client(key, 'localhost')
>>> rmt.addvals(3, 4)
7
>>> rmt.subvals(15, 4)
11
"""

SUBPROCESS = """\
>>> rmt.subprocess.call(['/bin/echo', 'hello'])
0
>>>
"""

REMOTE_CODE = """\
>>> from easycluster.remote_code import addvals, subvals
>>> addvals(1, 2)
3
>>>
"""

MISSING_IMPORT = """\
>>> import os
>>> define_common('''
... def hello():
...     os.system('echo hello')
... ''')
...
>>> rmt.update_definitions()
>>> rmt.hello()
Traceback (most recent call last):
  ...
NameError: name 'os' is not defined
>>>
"""

NONBLOCKING = """\
>>> rmt2 = Client(key, 'localhost')
>>> r1 = rmt.addvals(5, 8, nonblocking=True)
>>> r2 = rmt2.addvals(14, 18, nonblocking=True)
>>> r1.wait()
13
>>> r2.wait()
32
>>>
>>> call_multi([rmt, rmt2], 'addvals', 2, 3)
[5, 5]
>>>
"""

THREADS = """\
>>> r1 = rmt.addvals(101, 102, nonblocking=True, threadid=1)
>>> r2 = rmt.addvals(222, 333, nonblocking=True, threadid=2)
>>> r3 = rmt.addvals(555, 888, nonblocking=True, threadid=3)
>>> [r1.wait(), r2.wait(), r3.wait()]
[203, 555, 1443]
"""


class Session:
    """An interactive session; its names go on from one example to the next."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}

    def run(self, text: str) -> None:
        """Type an example and compare what is printed."""
        test = doctest.DocTestParser().get_doctest(text, self.names, "documentation", None, None)
        printed: list[str] = []
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test, out=printed.append, clear_globs=False)
        self.names = test.globs
        assert runner.failures == 0, "".join(printed)

    def close(self) -> None:
        """Close the clients that it made, as the end of an interpreter does."""
        for value in self.names.values():
            if isinstance(value, Client):
                value.close()


@pytest.fixture
def session(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Session, Server]]:
    """A session beside a server on the default port, and a folder with its key, as documented."""
    monkeypatch.chdir(tmp_path)
    generate_key_file(Path("secret.key"))
    server = start_server("-k", "secret.key")
    monkeypatch.setattr(connecting, "DEFAULT_PORT", server.port)
    session = Session()
    yield session, server
    session.close()


def test_executing_code_remotely(session: tuple[Session, Server], capfd: pytest.CaptureFixture[str]) -> None:
    """The section "Executing code remotely".

    Changed: `rmt.subprocess.call` gives 0, which the documentation does not show; before `rmt.hello()` the
    definitions are updated, as the documentation says elsewhere; Python 3 does not say "global name".
    """
    typed, server = session

    typed.run(DEFINE_COMMON)
    typed.run(SUBPROCESS)
    typed.run(REMOTE_CODE)
    typed.run(MISSING_IMPORT)

    assert "\nhello\n" in server.wait_for_log("hello\n")
    printed = capfd.readouterr()
    assert "hello" not in printed.out
    assert "os.system('echo hello')" in printed.err  # the stack trace, with the line


def test_module_of_another_name(session: tuple[Session, Server]) -> None:
    """What "Executing code remotely" says about a second parameter of define_common."""
    typed, _ = session
    named = DEFINE_COMMON.replace("... ''')", "... ''', 'my.code')")

    typed.run(named.replace("'localhost'", "'localhost', definitions='my.code'"))
    typed.run(REMOTE_CODE.replace("easycluster.remote_code", "my.code"))


def test_parallel_execution(session: tuple[Session, Server]) -> None:
    """The calls of the section "Parallel Execution".

    Changed: "otherhost" is this machine, too.
    """
    typed, _ = session
    typed.run(DEFINE_COMMON)
    typed.run(NONBLOCKING)
    typed.run(THREADS)


def test_exceptions(connect: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What the section "Exceptions" says: printed by default, not by a subclass or with `origexc`."""
    define_common("def fail():\n    raise KeyError('remote')\n")

    class Silent(Client):
        """Prints nothing."""

        def report_exception(self, exc: RemoteException) -> None:
            pass

    with pytest.raises(KeyError, match="remote"):
        connect().fail()
    assert "in fail" in capsys.readouterr().err
    with pytest.raises(KeyError, match="remote"):
        connect(Silent).fail()
    with pytest.raises(KeyError, match="remote"):
        connect().fail(origexc="quiet")
    with pytest.raises(RemoteException) as caught:
        connect().fail(origexc=False)
    assert isinstance(caught.value.orig, KeyError)
    assert "in fail" in "".join(caught.value.text)
    assert capsys.readouterr().err == ""


SPECS = {
    "user@example.com": {"user": "user", "ssh": True},
    "example.com:ssh=yes": {"ssh": True},
    "example.com:ssh=/usr/local/bin/ssh": {"ssh": "/usr/local/bin/ssh"},
    "user@192.0.2.1:9999": {"user": "user", "ssh": True, "host": "192.0.2.1", "port": 9999},
    "user@[2001:db8::2]": {"user": "user", "ssh": True, "host": "2001:db8::2"},
    "example.com:kf=secret.key": {"key": ...},
    "example.com:9999:key=s3cret": {"key": ..., "port": 9999},
    "user@example.com:rpython=python2.7": {"user": "user", "ssh": True, "rpython": "python2.7"},
}


@pytest.mark.parametrize(("spec", "means"), SPECS.items(), ids=SPECS)
def test_example_specifications(
    spec: str, means: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example of a connection spec means what the documentation says beside it."""
    monkeypatch.chdir(tmp_path)
    generate_key_file(Path("secret.key"))

    params: Mapping[str, Any] = parse_connection_spec(spec)

    for name, value in {"host": "example.com", **means}.items():
        if value is ...:
            assert len(params[name]) == 32
        else:
            assert params[name] == value


@pytest.fixture
def documented_ssh(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts first in PATH an ``ssh`` that reads our configuration: every host is this one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {sshd.config} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.mark.needs_sshd
def test_from_spec(documented_ssh: Path) -> None:
    """`rmt = Client.from_spec('user@example.com')`.

    Changed: the user, who has to exist.
    """
    user = getpass.getuser()

    with Client.from_spec(f"{user}@example.com") as rmt:
        assert rmt.eval("6 * 7") == 42
        assert rmt.peername == "example.com:22"
    with Client.from_spec("example.com:ssh=yes:compress=1") as rmt:
        assert rmt.eval("6 * 7") == 42
    with Client.from_spec(f"example.com:ssh={documented_ssh}") as rmt:
        assert rmt.eval("6 * 7") == 42


def run_script(folder: Path, source: str, *arguments: str) -> list[str]:
    """Run a script as do_stuff.py in a folder; return the lines that it printed."""
    (folder / "do_stuff.py").write_text(source)
    result = subprocess.run(
        [sys.executable, "do_stuff.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


@pytest.mark.parametrize("example", [CONNECT_EXAMPLE, CONNECT_EXAMPLE_ARGPARSE], ids=["optparse", "argparse"])
def test_connect_example(start_server: StartServer, tmp_path: Path, example: str) -> None:
    """`python do_stuff.py -k common.key host1 host2 oddhost:kf=key_for_oddhost.key`.

    Changed: the hosts are ports of this machine.
    """
    servers = []
    for name in ("common.key", "key_for_oddhost.key"):
        generate_key_file(tmp_path / name)
        servers.append(start_server("-k", tmp_path / name))
    common, odd = (server.port for server in servers)
    specs = [f"localhost:{common}", f"127.0.0.1:{common}", f"localhost:{odd}:kf=key_for_oddhost.key"]

    printed = run_script(tmp_path, example + DO_STUFF, "-k", "common.key", *specs)

    assert printed == [f"localhost:{common} 42", f"127.0.0.1:{common} 42", f"localhost:{odd} 42"]


@pytest.mark.parametrize("example", [CONNECT_EXAMPLE, CONNECT_EXAMPLE_ARGPARSE], ids=["optparse", "argparse"])
@pytest.mark.needs_sshd
def test_connect_example_with_ssh(
    start_server: StartServer, documented_ssh: Path, tmp_path: Path, example: str
) -> None:
    """The same script connects to hosts by SSH beside those with the key; SSH needs no key."""
    generate_key_file(tmp_path / "common.key")
    server = start_server("-k", tmp_path / "common.key")
    specs = [f"{getpass.getuser()}@host1", f"localhost:{server.port}"]

    printed = run_script(tmp_path, example + DO_STUFF, "-k", "common.key", *specs)
    without_key = run_script(tmp_path, example + DO_STUFF, "host2:ssh=yes")

    assert printed == ["host1:22 42", f"localhost:{server.port} 42"]
    assert without_key == ["host2:22 42"]


def find_tunnel(port: int) -> int:
    """The process id of the ssh that went to the background to forward a port."""
    for process in leaks.processes(os.environ[leaks.MARK]):
        pid = int(process.partition("@")[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"-L" in command and any(part.startswith(b"%d:" % port) for part in command):
            return pid
    raise AssertionError(f"no ssh forwards port {port}")


@pytest.mark.needs_sshd
def test_tunnels(tcp_server: Server, key_file: Path, documented_ssh: Path, tmp_path: Path) -> None:
    """`ssh host1 -N -f -L 11001:localhost:11999` and `python do_stuff.py -k common.key localhost:11001 ...`.

    Changed: the ports; ssh is told to say when it cannot forward.
    """
    shutil.copy(key_file, tmp_path / "common.key")
    ports, tunnels = [], []
    try:
        for host in ("host1", "host2"):
            ports.append(free_port())
            forward = f"{ports[-1]}:localhost:{tcp_server.port}"
            command = ["ssh", host, "-N", "-f", "-L", forward, "-o", "ExitOnForwardFailure=yes"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
            tunnels.append(find_tunnel(ports[-1]))

        specs = [f"localhost:{port}" for port in ports]
        printed = run_script(tmp_path, CONNECT_EXAMPLE + DO_STUFF, "-k", "common.key", *specs)
    finally:
        for pid in tunnels:
            os.kill(pid, signal.SIGTERM)

    assert printed == [f"{spec} 42" for spec in specs]
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in tunnels))


@pytest.mark.needs_sshd
def test_broken_tunnel(tcp_server: Server, key: bytes, sshd: Sshd) -> None:
    """When a tunnel ends, the calls through it raise what a lost connection raises."""
    port = free_port()
    forward = f"{port}:localhost:{tcp_server.port}"
    tunnel = subprocess.Popen(["ssh", *sshd.options, "-N", "-L", forward, "host1"])

    def connect() -> Client | None:
        try:
            return Client(key, "localhost", port)
        except OSError:
            return None

    client = wait_until(connect)
    assert client is not None
    assert client.eval("6 * 7") == 42
    tunnel.terminate()
    tunnel.wait(PATIENCE)

    with pytest.raises(EOFError):
        client.eval("1")
    client.close()


def test_same_server_several_times(tcp_server: Server, key: bytes) -> None:
    """Each connection to the same server is a process of its own, with a clean environment."""
    with (
        Client(key, "127.0.0.1", tcp_server.port) as first,
        Client(key, "127.0.0.1", tcp_server.port) as second,
    ):
        first.execblock("import os; os.environ['EC_TEST'] = '1'; os.chdir('/'); os.umask(0)")

        assert first.os.getpid() != second.os.getpid()
        assert second.os.getenv("EC_TEST") is None
        assert second.os.getcwd() != "/"
