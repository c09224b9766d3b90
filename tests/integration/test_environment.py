"""What remote code finds around it: a process that looks as if it had been started for it alone."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import define_common
from easycluster_server._system.posix.proc import read_processes
from helpers.masters import parent_of
from helpers.servers import Server
from helpers.sshd import Sshd
from helpers.waiting import wait_until

UPGRADED_TOO = True
TLS_TOO = True

#: What a process says of itself; run in a worker, and by a fresh Python to compare.
LOOK = '''
import os, signal, sys

def look():
    """Tell what another process of this host would see as well."""
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if line[:3] in ("Sig", "Uma"))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SSH_") and name != "_"}
    return {
        "environment": ours,
        "folder": os.getcwd(),
        "path": sys.path,
        "umask": status["Umask"].strip(),
        "blocked": status["SigBlk"].strip(),
        "ignored": status["SigIgn"].strip(),
        "limits": open("/proc/self/limits").read(),
        "nice": os.nice(0),
        "stdin": sys.stdin.read(),
    }
'''

REMOTE = (
    LOOK
    + '''
import atexit, random, subprocess, tempfile, threading, uuid

def pids():
    """Return the ids of the worker and of its guardian."""
    return os.getpid(), os.getppid()

def main_names():
    return sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("__"))

def exit_functions():
    """Return how many there are, but for those of modules that are imported already."""
    return atexit._ncallbacks() - len({"logging", "easycluster_client._process.exit"}.intersection(sys.modules))

def log_at_exit(path):
    """Leave something to those exit functions, and make one of the user's own."""
    import logging, logging.handlers, weakref

    handler = logging.handlers.MemoryHandler(100, target=logging.FileHandler(path))
    logging.getLogger("test").addHandler(handler)
    logging.getLogger("test").error("logged")
    weakref.finalize(handler, lambda: logging.getLogger("test").error("finalized"))

def handlers():
    return {
        number: getattr(signal.getsignal(number), "__qualname__", None)
        for number in range(1, signal.NSIG)
        if signal.getsignal(number) not in (signal.SIG_DFL, None)
    }

def draw():
    return random.random(), uuid.uuid4().hex, os.urandom(8), next(tempfile._get_candidate_names())

def spoil(folder):
    """Change everything that a process can change about itself."""
    os.environ["EASYCLUSTER_SPOILED"] = "1"
    os.environ.pop("PATH", None)
    os.chdir(folder)
    os.umask(0o123)
    os.nice(1)
    sys.path.insert(0, folder)
    sys.argv.append("spoiled")
    sys.modules["json"] = None
    random.seed(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    sys.modules["__main__"].spoiled = True
    globals()["spoiled"] = True
    os.close(0)

def say(text):
    """Write to standard output in every way there is."""
    print(text + " by print", flush=True)
    os.write(1, (text + " by write\\n").encode())
    subprocess.run(["echo", text + " by a child"], check=True)
    return len(text)

def echo_stdin():
    code = "import sys; sys.stdout.write(sys.stdin.read())"
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
'''
)


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


def descriptors(pid: int) -> dict[int, str]:
    """What the descriptors of a process are, but for its standard ones and one that libffi 3.5 needs for itself."""
    folder = Path(f"/proc/{pid}/fd")
    found = {int(file.name): os.readlink(file) for file in folder.iterdir() if int(file.name) > 2}
    return {number: target for number, target in found.items() if "/libffi.so" not in target}


def kinds(found: dict[int, str]) -> list[str]:
    """Of what kind they are."""
    return sorted(target.partition(":")[0] for target in found.values())


def listening_sockets() -> set[str]:
    """All sockets of this host on which somebody waits for connections over TCP."""
    found: set[str] = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(f"socket:[{fields[9]}]")
    return found


def holds(pid: int, secret: bytes) -> bool:
    """Whether the bytes stand anywhere in the writable memory of a process."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match is None or "[v" in line:
                continue
            begin, finish = (int(number, 16) for number in match.groups())
            memory.seek(begin)
            try:
                if secret in memory.read(finish - begin):
                    return True
            except OSError:  # pages that nobody can read
                continue
    return False


def fork_server_of(guardian: int) -> int:
    """The process that forked a guardian and its keeper."""
    return parent_of(parent_of(guardian))


# What it holds.


def wait_for_guardian(guardian: int, count: int) -> None:
    """Wait until it holds so many descriptors: over ssh it begins a little later than its worker."""
    wait_until(lambda: len(descriptors(guardian)) >= count, what="the guardian")


def test_descriptors(request: pytest.FixtureRequest, transport: Any, connect: Callable[[], Any]) -> None:
    """Worker and guardian hold their connection and the pipes between them, and nothing of another connection."""
    link = ["pipe", "pipe"] if transport.name == "ssh" else ["socket"]
    pipes = 5 if transport.name == "ssh" else 4  # there the guardian prints what the worker prints
    held: list[dict[int, str]] = []
    for client in (connect(), connect()):
        worker, guardian = client.pids()
        wait_for_guardian(guardian, pipes + len(link))
        held += [descriptors(worker), descriptors(guardian)]

    # On one socket the guardian is asked how its worker is. On another that of a local server tells how it ended.
    is_upgraded = "[upgraded]" in request.node.name
    words = ["socket"] * (0 if is_upgraded else {"local": 2, "ssh": 0}.get(transport.name, 1))
    assert [kinds(each) for each in held] == [["pipe", *link], ["pipe"] * pipes + [*link, *words]] * 2
    first = {*held[0].values(), *held[1].values()}
    second = {*held[2].values(), *held[3].values()}
    assert not first & second
    assert not (first | second) & listening_sockets()


def test_descriptors_of_the_fork_server(tcp_server: Server, key: bytes) -> None:
    """The fork server holds the socket of its owner, and nothing listens anywhere but in the listener."""
    with easycluster.Client(key, "127.0.0.1", tcp_server.port) as client:
        _, guardian = client.pids()
        fork_server = fork_server_of(guardian)
        listening = set(descriptors(tcp_server.process.pid).values()) & listening_sockets()

        assert kinds(descriptors(fork_server)) == ["socket"]
        assert len(listening) == 1
        assert not listening & set(descriptors(fork_server).values())


@pytest.mark.parametrize("given", ["-k", "-K"])
def test_nobody_but_the_listener_knows_the_key(
    start_server: Callable[..., Server], key_file: Path, key: bytes, given: str
) -> None:
    """The shared key stands in the listener's memory only, nor in any command line or environment but its own."""
    text = key_file.read_text().strip()
    server = start_server(given, key_file if given == "-k" else text)
    with easycluster.Client(key, "127.0.0.1", server.port) as client:
        worker, guardian = client.pids()
        others = [worker, guardian, parent_of(guardian), fork_server_of(guardian)]

        assert parent_of(others[3]) == server.process.pid
        assert holds(server.process.pid, key), "the search finds it where it is"
        for pid in others:
            assert not holds(pid, key)
            assert not holds(pid, text.encode())
            for name in ("cmdline", "environ"):
                assert text.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_each_connection_has_a_process_of_its_own(connect: Callable[[], Any]) -> None:
    """Two connections are two workers with a guardian each, and a worker leads its own session."""
    table = [process for client in (connect(), connect()) for process in client.pids()]
    sessions = [os.getsid(pid) for pid in table[::2]]

    assert len(set(table)) == 4
    assert sessions == table[::2]
    assert [read_processes()[pid].parent for pid in table[::2]] == table[1::2]


# What it sees.


@pytest.mark.untraced
def test_it_looks_as_if_just_started(client: Any) -> None:
    """`__main__` is empty, no exit function is registered, and there are no arguments."""
    assert client.main_names() == []
    assert client.exit_functions() == 0
    assert client.sys.argv.value == [""]
    assert client.eval("__name__") != "__main__"
    assert client.eval("__import__('threading').active_count()") == 1


def test_exit_functions_of_modules_are_run(client: Any, tmp_path: Path) -> None:
    """At a clean end the exit functions of standard modules run, which the fork server may have imported."""
    log = tmp_path / "log"
    client.log_at_exit(str(log))
    client.close()

    wait_until(lambda: log.read_text() == "logged\nfinalized\n")


def test_signals_are_at_their_defaults(client: Any) -> None:
    """Every signal is as in a fresh Python, but that SIGINT interrupts calls only, and SIGURG those that are cancelled."""
    found = client.handlers()
    ours = found.pop(signal.SIGINT), found.pop(signal.SIGURG)

    assert ours == ("Session._on_signal", "Session._on_signal")
    # What Python itself ignores; who started the tests may have ignored more.
    assert sorted(found) == [signal.SIGPIPE, signal.SIGXFSZ]


def test_randomness_is_its_own(connect: Callable[[], Any]) -> None:
    """Two workers draw different random numbers, and neither draws those of the master."""
    drawn = [connect().draw(), connect().draw()]

    assert all(first != second for first, second in zip(*drawn, strict=True))


def test_standard_input_is_empty(client: Any) -> None:
    """Who reads from standard input finds its end, also a process that remote code starts."""
    assert client.eval("__import__('sys').stdin.read()") == ""
    assert client.echo_stdin() == b""


def test_local_server_is_as_a_child_of_the_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local server has the environment, folder, umask and module path that the master has at that moment."""
    monkeypatch.setenv("EASYCLUSTER_TEST_VALUE", "a = b\n\N{SNOWMAN}")
    monkeypatch.delenv("PATH")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    umask = os.umask(0o027)
    try:
        with easycluster.server.spawn_local() as client:
            seen = client.look()
    finally:
        os.umask(umask)

    assert seen["environment"] == {name: value for name, value in os.environ.items() if name != "_"}
    assert seen["folder"] == str(tmp_path)
    assert seen["path"] == sys.path
    assert seen["umask"] == "0027"
    assert seen["blocked"] == "0" * 16


def test_local_server_survives_a_lost_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A master whose working folder was removed can start a local server nevertheless."""
    folder = tmp_path / "lost"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with easycluster.server.spawn_local() as client:
        assert client.eval("1 + 1") == 2


@pytest.mark.needs_sshd
def test_over_ssh_it_is_as_a_command_of_ssh(sshd: Sshd) -> None:
    """Over SSH remote code sees what a Python sees that ssh starts."""
    command = f"{sys.executable} -c '{LOOK}\nimport json; print(json.dumps(look()))'"
    result = subprocess.run(
        ["ssh", *sshd.options, "h", command], check=True, stdin=subprocess.DEVNULL, capture_output=True
    )
    expected = json.loads(result.stdout)
    with easycluster.Client(host="h", ssh=True, rpython=sys.executable, extra_args=sshd.options) as client:
        seen = client.look()

    assert seen == expected


def test_output_reaches_nobody_by_mistake(client: Any) -> None:
    """What remote code and its children print does not disturb the connection."""
    assert [client.say("hello") for _ in range(10)] == [5] * 10


@pytest.mark.parametrize("transport_name", ["local", "tcp"])
def test_output_goes_where_the_server_prints(
    start_server: Callable[..., Server], key: bytes, capfd: pytest.CaptureFixture[str], transport_name: str
) -> None:
    """What remote code prints comes out where the server, or the master of a local one, prints."""
    if transport_name == "tcp":
        server = start_server("-c", "QuietServer")
        with easycluster.Client(key, "127.0.0.1", server.port) as client:
            client.say("hello")
        printed = server.log
    else:
        with easycluster.server.spawn_local() as client:
            client.say("hello")
        printed = capfd.readouterr().out

    assert printed.endswith("hello by print\nhello by write\nhello by a child\n")


def test_nothing_passes_from_one_worker_to_the_next(connect: Callable[[], Any], tmp_path: Path) -> None:
    """Whatever a worker changes about itself, the next one is as the first one was."""
    first = connect()
    before = first.look(), first.handlers(), first.main_names()
    first.spoil(str(tmp_path))
    second = connect()
    after = second.look(), second.handlers(), second.main_names()
    spoiled = second.eval("'spoiled' in globals()")

    assert after == before
    assert not spoiled


def test_standard_descriptors_may_be_closed_in_the_master(tmp_path: Path) -> None:
    """A master without standard output and error, such as a daemon, can start a local server."""
    script = (
        "import os, sys\nos.close(1)\nos.close(2)\nimport easycluster\n"
        "with easycluster.server.spawn_local() as client:\n"
        '    client.execblock(\'import os, sys; os.write(1, b"x"); os.write(2, b"x")\')\n'
        "    open(sys.argv[1], 'w').write(str(client.eval('1 + 1')))\n"
    )
    result = tmp_path / "result"
    subprocess.run([sys.executable, "-c", script, str(result)], check=True, stdin=subprocess.DEVNULL)

    assert result.read_text() == "2"


def test_worker_holds_no_file_of_the_master(tmp_path: Path) -> None:
    """Files and sockets that the master has open, inheritable or not, do not reach a local server."""
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        with easycluster.server.spawn_local() as client:
            worker, guardian = client.pids()
            held = {*descriptors(worker).values(), *descriptors(guardian).values()}

    assert str(tmp_path / "open") not in held


def test_files_of_the_worker_are_private_by_umask(client: Any, tmp_path: Path) -> None:
    """A umask that one call sets holds for the next call of the same worker."""
    client.os.umask(0o077)
    client.execblock(f"open({str(tmp_path / 'made')!r}, 'w').close()")

    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600
