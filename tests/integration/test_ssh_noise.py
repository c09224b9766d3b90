"""What logins print where only our own bytes should be: before the server, while it starts, and after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster import ConnectError, ConnectionLost, define_common
from helpers.exercises import DEFINITIONS, assert_works
from helpers.logins import Host, make_host, serve_logins
from helpers.pipes import Pipe
from helpers.sshd import Sshd
from helpers.waiting import wait_until

pytestmark = pytest.mark.needs_sshd

sshd_of_logins = pytest.fixture(scope="module")(serve_logins)

BANNER = b"Welcome to h!\nLast login: yesterday\n"

NOISE = {
    "lines": BANNER,
    "CR LF": b"\r\nWelcome!\r\n\r\n",
    "no line feed": b"Welcome! ",
    "binary": bytes(range(256)) * 16,
    "marker of another": b"easycluster-0123456789abcdef0123456789abcdef\n",
    "begin of a marker": b"easycluster-0123456789abcdef\neasycluster-",
    "frame of a bundle": b"EasyCluster1 00000010\n0123456789",
    "frame of the protocol": b"EZCL\1\0\0\4\0\0\0\x10" + bytes(32),
    "1 MB without line feed": b"noise" * 200_000,
    "1 MB of lines": b"noise\r\n" * 150_000,
}


@pytest.fixture
def host(sshd_of_logins: Sshd, tmp_path: Path, no_leaks: None) -> Host:
    """A host whose login shell is bash, with the functions of `exercises`."""
    host = make_host(sshd_of_logins, tmp_path, no_leaks)
    host.shell = ["/bin/bash", "-c"]
    host.add_command("cat")
    define_common(DEFINITIONS)
    return host


def print_everywhere(host: Host, noise: bytes) -> None:
    """Let the login shell print when it starts and when it ends, and Python when it starts."""
    host.write("noise", noise)
    host.write(
        ".bashrc",
        """
        show() { cat "$HOME/noise"; cat "$HOME/noise" >&2; }
        show
        trap 'cat "$HOME/noise"; echo "Good bye" >&2' EXIT
        """,
    )
    host.write("modules/sitecustomize.py", "import os; os.system('cat ~/noise; cat ~/noise >&2')")
    host.env["PYTHONPATH"] = f"{host.home}/modules"


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_does_no_harm(host: Host, noise: bytes) -> None:
    """Whatever shells and Python print at a login, on both streams, our part of it is found."""
    print_everywhere(host, noise)
    with host.connect() as client:
        assert_works(client)


def test_noise_is_shown_where_it_belongs(host: Host, capfd: pytest.CaptureFixture[str]) -> None:
    """What a login prints to standard error is shown to the user; its standard output is not."""
    print_everywhere(host, b"of \xc3\xa4nner\n")
    with host.connect() as client:
        client.call("print", "called")
    printed = capfd.readouterr()

    assert printed.out == ""
    # Not what comes after the call: ssh may have noticed that nobody reads its standard output any more.
    assert printed.err.startswith("of änner\nof änner\ncalled\n")


def test_slow_noise(host: Host) -> None:
    """A login that prints in pieces, of which one looks like our marker's begin, is waited for."""
    host.write(".bashrc", "for part in Wel come easyclu ster- easycluster-; do printf $part; sleep 0.1; done")
    with host.connect() as client:
        assert_works(client)


def test_noise_of_a_login_shell(host: Host) -> None:
    """Where sshd's commands run in a login shell, its `.profile` and `.bash_logout` may print, too."""
    host.shell = ["/bin/bash", "-lc"]
    host.write("noise", BANNER)
    host.write(".profile", 'cat "$HOME/noise"; export PROFILE=yes')
    host.write(".bash_logout", 'cat "$HOME/noise"')
    host.suffix = "; exit"
    with host.connect() as client:
        assert_works(client)
        assert client.call("os.environ.get", "PROFILE") == "yes"


def test_noise_in_an_error(host: Host) -> None:
    """When no server starts, the error quotes what the login printed."""
    print_everywhere(host, b"The disk is full.\n")
    with pytest.raises(
        ConnectError, match="(?s)ssh printed:\n.*disk is full.*the host answered:\n.*disk is full"
    ):
        host.connect(rpython="false")


def test_noise_amid_the_connection(host: Host, tmp_path: Path) -> None:
    """A job of the login in the background that prints among our bytes ends the connection, which says so."""
    host.write(".bashrc", f"(read line < {tmp_path}/pipe; echo noise) &")
    with Pipe(tmp_path / "pipe") as pipe, host.connect() as client:
        assert client.add(1) == 3
        pipe.write("go\n")
        with pytest.raises(ConnectionLost, match="something that is not a frame: b'noise"):
            wait_until(lambda: client.add(1) != 3)


def test_job_in_the_background(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of the login in the background that holds the streams, as agents do, does not keep us from closing.

    It does keep ssh from ending.
    """
    monkeypatch.setattr("easycluster_client._ssh.process._FINISH_GRACE", 0.2)
    host.write(".bashrc", f"(read line < {tmp_path}/pipe) &")
    with Pipe(tmp_path / "pipe") as pipe:
        with host.connect() as client:
            assert_works(client)
        pipe.write("end\n")


def test_startup_file_that_reads_our_code(host: Host) -> None:
    """A start-up file that reads what was sent for us is an error that says so, at once."""
    host.add_command("head")
    host.write(".bashrc", "head -c 10 > /dev/null")
    with pytest.raises(ConnectError, match="our code did not start") as caught:
        host.connect()

    assert "EasyCluster could not start: its code did not arrive whole on stdin" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_startup_file_that_leaves(host: Host) -> None:
    """A start-up file that ends the login is an error with the status, and with what was printed."""
    host.write(".bashrc", "echo The host is closed.; exit 3")
    with pytest.raises(ConnectError, match="(?s)status 3.*the host answered:.*The host is closed"):
        host.connect()
