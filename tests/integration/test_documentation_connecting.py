"""The documentation's examples of "Connecting to a server", run word for word, and the same scripts in examples/.

What had to be mended in an example is listed in the docstring of its test. Its hosts are arranged around it, see
`helpers.documented`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import Client, ConnectError, ThreadedClient, parse_connection_spec
from helpers.documented import PORT, Leads, Session, corrected, end_tunnels, run_script, start_tunnel
from helpers.servers import Server, generate_key_file
from helpers.sshd import Sshd, free_port
from helpers.waiting import PATIENCE, wait_until

StartServer = Callable[..., Server]

FROM_SPEC = """\
>>> rmt = Client.from_spec('user@example.com')
>>> rmt = ThreadedClient.from_spec('user@example.com:rpython=python2.7')
"""

#: From each example of a specification to what it says beside it.
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

DO_STUFF = "python do_stuff.py -k common.key host1 host2 oddhost:kf=key_for_oddhost.key"

TUNNELS = """\
ssh host1 -N -f -L 11001:localhost:11999
ssh host2 -N -f -L 11002:localhost:11999
python do_stuff.py -k common.key localhost:11001 localhost:11002
"""

EXAMPLES = Path(__file__).parents[2] / "examples"

#: The scripts that the command lines are run with. The example does nothing with its connections.
SCRIPTS = {
    "optparse": CONNECT_EXAMPLE + "\nfor rmt in remotes:\n    print(rmt.peername, rmt.eval('6 * 7'))\n",
    "argparse": (EXAMPLES / "connect_example.py").read_text(),
    "do_stuff": (EXAMPLES / "do_stuff.py").read_text(),
}


@pytest.fixture(params=SCRIPTS)
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each of the scripts, as do_stuff.py in a folder."""
    path = tmp_path / "do_stuff.py"
    path.write_text(SCRIPTS[request.param])
    return path


def run(line: str, folder: Path, leads: Leads | None = None) -> list[str]:
    """Run a documented line with Python; return whom it connected to, one a line of what it printed."""
    python, *arguments = line.split()
    assert python == "python"
    result = run_script(arguments, folder, leads)
    assert (result.returncode, result.stderr) == (0, "")
    return [printed.split()[0].rstrip(":") for printed in result.stdout.splitlines()]


@pytest.mark.needs_sshd
def test_from_spec(documented_ssh: Path, session: Session) -> None:
    """A client is made from a spec in one line.

    Mended: Python 2.7, which is refused by name.
    """
    session.names.update(Client=Client, ThreadedClient=ThreadedClient)

    session.run(corrected(FROM_SPEC, ("python2.7", "python3")))

    rmt = session.names["rmt"]
    assert (type(rmt), rmt.peername, rmt.eval("6 * 7")) == (ThreadedClient, "example.com:22", 42)
    with pytest.raises(ConnectError, match="python2.7"):
        ThreadedClient.from_spec("user@example.com:rpython=python2.7")


@pytest.mark.needs_sshd
def test_ssh_without_a_user_name(documented_ssh: Path) -> None:
    """`ssh=yes` and `ssh=PATH` mean SSH without a user's name, and `compress=1` may stand beside them."""
    for spec in ("example.com:ssh=yes:compress=1", f"example.com:ssh={documented_ssh}"):
        with Client.from_spec(spec) as rmt:
            assert rmt.eval("6 * 7") == 42


@pytest.mark.parametrize(("spec", "means"), SPECS.items(), ids=SPECS)
def test_example_specifications(
    spec: str, means: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example of a connection spec means what stands beside it."""
    monkeypatch.chdir(tmp_path)
    generate_key_file(Path("secret.key"))

    params: Mapping[str, Any] = parse_connection_spec(spec)

    for name, value in {"host": "example.com", **means}.items():
        if value is ...:
            assert len(params[name]) == 32
        else:
            assert params[name] == value


def test_do_stuff(start_server: StartServer, script: Path) -> None:
    """Several servers share a default key, and one has its own: the documented line as it stands."""
    keys = [generate_key_file(script.parent / name) for name in ("common.key", "key_for_oddhost.key")]
    common, odd = (start_server("-k", key).port for key in keys)
    leads = {("host1", PORT): common, ("host2", PORT): common, ("oddhost", PORT): odd}

    connected = run(DO_STUFF, script.parent, leads)

    assert connected == [f"{host}:{PORT}" for host in ("host1", "host2", "oddhost")]


@pytest.mark.needs_sshd
def test_do_stuff_by_ssh(start_server: StartServer, documented_ssh: Path, script: Path) -> None:
    """The same scripts connect to hosts by SSH beside those with the key; SSH needs no key."""
    server = start_server("-k", generate_key_file(script.parent / "common.key"))
    leads = {("host2", PORT): server.port}

    both = run("python do_stuff.py -k common.key user@host1 host2", script.parent, leads)
    without_key = run("python do_stuff.py host2:ssh=yes", script.parent)

    assert both == ["host1:22", f"host2:{PORT}"]
    assert without_key == ["host2:22"]


def test_do_stuff_complains(documented_server: Server, tmp_path: Path) -> None:
    """Of a host that cannot be reached or a spec that is wrong examples/do_stuff.py says so in a line, and goes on."""
    command = [str(EXAMPLES / "do_stuff.py"), "-k", "secret.key"]
    port = free_port()
    leads = {("host1", PORT): documented_server.port, ("host2", PORT): port}
    generate_key_file(tmp_path / "other.key")

    result = run_script(
        [*command, "host2", "host1:colour=red", "host1:kf=other.key", "host1:kf=none.key", "host1"],
        tmp_path,
        leads,
    )
    no_key = run_script([command[0], "-k", "none.key", "host1"], tmp_path, leads)

    assert result.returncode == 1
    assert [line.split()[0] for line in result.stdout.splitlines()] == [f"host1:{PORT}:"]
    said = result.stderr.splitlines()
    for line, part in zip(said, (f"host2:{PORT}", "colour", f"host1:{PORT}", "none.key"), strict=True):
        assert line.startswith("do_stuff: ")
        assert part in line
    assert (no_key.returncode, no_key.stdout) == (2, "")
    assert no_key.stderr.startswith("do_stuff: ")
    assert "none.key" in no_key.stderr


def test_do_stuff_with_a_host_that_fails(documented_server: Server, tmp_path: Path) -> None:
    """An error of remote code is one line of examples/do_stuff.py, too."""
    source = (EXAMPLES / "do_stuff.py").read_text()
    (tmp_path / "do_stuff.py").write_text(source.replace("os.cpu_count()", "os.no_such_function()"))
    leads = {("host1", PORT): documented_server.port}

    result = run_script(["do_stuff.py", "-k", "secret.key", "host1"], tmp_path, leads)

    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("do_stuff: host1:11999: ")
    assert "no_such_function" in line


@pytest.mark.needs_sshd
def test_tunnels(start_server: StartServer, documented_ssh: Path, script: Path) -> None:
    """SSH tunnels lead to the servers.

    Mended: the ports, which somebody else may have here; ssh is told to say when it cannot forward.
    """
    server = start_server("-k", generate_key_file(script.parent / "common.key"))
    ports = [free_port(), free_port()]
    text = (
        TUNNELS.replace(str(PORT), str(server.port))
        .replace("11001", str(ports[0]))
        .replace("11002", str(ports[1]))
    )
    *tunnels, do_stuff = text.splitlines()
    pids: list[int] = []
    try:
        pids.extend(map(start_tunnel, tunnels, ports))
        connected = run(do_stuff, script.parent)
    finally:
        end_tunnels(pids)

    assert connected == [f"localhost:{port}" for port in ports]


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


def test_same_server_several_times(connect: Callable[..., Any]) -> None:
    """Each connection to the same server is a process of its own, with a clean environment."""
    first, second = connect(), connect()
    first.execblock("import os; ec_name = 1; os.environ['EC_TEST'] = '1'; os.chdir('/'); os.umask(0)")

    assert first.os.getpid() != second.os.getpid()
    assert second.os.getenv("EC_TEST") is None
    assert second.os.getcwd() != "/"
    assert second.eval("'ec_name' in globals()") is False


def test_spawn_local() -> None:
    """`easycluster.server.spawn_local()` is a new process, without a server that runs."""
    with easycluster.server.spawn_local() as rmt:
        assert rmt.os.getpid() != os.getpid()
        assert rmt.os.getcwd() == os.getcwd()
