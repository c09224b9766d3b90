"""Connections that are encrypted: by the shared key between Pythons of version 3.13, by certificates on any."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster_client import Client
from easycluster_protocol.errors import AuthenticationError, ConnectError, KeyFileError, SpecError
from helpers.certificates import YESTERDAY, Authority
from helpers.pythons import find_pythons
from helpers.relays import Relay
from helpers.servers import Server, run_command
from helpers.tls_masters import SOURCES, VERSION, run_new

Start = Callable[..., Server]

TEXT = "a text that nobody else may read"

needs_new = pytest.mark.needs_pythons(f"python{VERSION}")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(start_server: Start, authority: Authority) -> Server:
    """A server with a certificate for its address."""
    return start_server("--tls-cert", authority.sign("127.0.0.1"))


@pytest.fixture
def spec(server: Server, key_file: Path) -> str:
    """The spec of that server."""
    return f"127.0.0.1:{server.port}:kf={key_file}"


@pytest.fixture
def new_server(start_server: Start) -> Server:
    """A server with Python 3.13."""
    command = (find_pythons()[VERSION], "-m", "easycluster")
    return start_server(command=command, env={"PYTHONPATH": SOURCES})


@needs_new
def test_shared_key(new_server: Server, key_file: Path) -> None:
    """Two ends with Python 3.13 encrypt by the key file alone; everything works, and the log says so."""
    assert run_new("use", new_server.port, f"kf={key_file}") == "done\n"
    assert ", TLS 1.3 with the shared key\n" in new_server.log
    assert "refused" not in new_server.log


@needs_new
def test_wire_of_the_shared_key(new_server: Server, key_file: Path) -> None:
    """The text of a call is on the wire without TLS, and with TLS it is not."""
    assert run_new("record", new_server.port, f"kf={key_file}") == "done\n"


@needs_new
def test_attacks_on_the_shared_key(authority: Authority) -> None:
    """Whoever shows a certificate in place of the shared key is refused, and whoever has another key."""
    assert run_new("attack", 0, authority.sign("localhost")) == "done\n"


@needs_new
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="it stands for an older Python")
def test_older_client(new_server: Server, key_file: Path) -> None:
    """A client with an older Python is not encrypted, and says so; with tls=require it names the end that cannot."""
    spec = f"127.0.0.1:{new_server.port}:kf={key_file}"
    with Client.from_spec(spec) as client:
        assert (
            repr(easycluster.security(client)) == "<Security: HMAC-SHA256 by the shared key, not encrypted>"
        )
        assert not easycluster.security(client).encrypted
    with pytest.raises(ConnectError, match=rf"the client has Python 3\.{sys.version_info[1]}.*--tls-cert"):
        Client.from_spec(f"{spec}:tls=require")


@pytest.mark.parametrize("options", ["", ":tls=require", ":tls_ca={ca}", ":tls=auto:tls_ca={ca}"])
def test_certificate(server: Server, spec: str, authority: Authority, options: str) -> None:
    """A server with a certificate encrypts for any Python, whether the client knows its CA or not."""
    with Client.from_spec(spec + options.format(ca=authority.file)) as client:
        assert client.eval("1 + 1") == 2
        security = easycluster.security(client)
        assert security.encrypted
        assert str(security).startswith("TLS 1.3 with the ")
        assert client.call("bytes", bytes(3_000_000)) == bytes(3_000_000)
        client.reconnect()
        assert client.eval("2 + 2") == 4
    assert ", TLS 1.3 with the " in server.log


def test_switched_off(spec: str, start_server: Start, key_file: Path, authority: Authority) -> None:
    """Either end can switch TLS off; a server or client that requires it then refuses."""
    with Client.from_spec(f"{spec}:tls=off") as client:
        assert not easycluster.security(client).encrypted
    strict = start_server("--tls", "require", "--tls-cert", authority.sign("127.0.0.1"))
    with pytest.raises(
        ConnectError, match=r"refused the connection: TLS is required here, and the client has sw"
    ):
        Client.from_spec(f"127.0.0.1:{strict.port}:kf={key_file}:tls=off")
    never = start_server("--tls", "off")
    with pytest.raises(ConnectError, match=r"the server has switched it off \(--tls off\)"):
        Client.from_spec(f"127.0.0.1:{never.port}:kf={key_file}:tls=require")


def test_wire(server: Server, key_file: Path) -> None:
    """The text of a call is on the wire without TLS, and with TLS it is not."""
    for tls, is_there in (("off", True), ("require", False)):
        relay = Relay(server.port)
        with Client.from_spec(f"127.0.0.1:{relay.port}:kf={key_file}:tls={tls}") as client:
            assert client.call("str", TEXT) == TEXT
        relay.join()
        assert (TEXT.encode() in relay.to_server, TEXT.encode() in relay.to_client) == (is_there, is_there)


@pytest.mark.parametrize("to_server", [True, False])
def test_downgrade(server: Server, key_file: Path, to_server: bool) -> None:
    """A relay that changes what an end says of TLS ends the connection."""

    def change(data: bytes, is_to_server: bool) -> bytes:
        return data.replace(b"tls-", b"slt-", 1) if is_to_server == to_server else data

    relay = Relay(server.port, change)
    with pytest.raises(AuthenticationError):
        Client.from_spec(f"127.0.0.1:{relay.port}:kf={key_file}")
    relay.join()


def test_injection(server: Server, key_file: Path) -> None:
    """Bytes that a relay adds between the handshake and TLS end the connection."""

    def change(data: bytes, to_server: bool) -> bytes:
        return data + b"\x01" + bytes(15) if not to_server and data.startswith(b"EZCL\4") else data

    relay = Relay(server.port, change)
    with pytest.raises(ConnectError, match="between the handshake and TLS"):
        Client.from_spec(f"127.0.0.1:{relay.port}:kf={key_file}")
    relay.join()


def test_errors_of_a_client(spec: str, start_server: Start, key_file: Path, authority: Authority) -> None:
    """The errors name the host, the option or file, and say what to do."""
    port = start_server("--tls-cert", authority.sign("other.example")).port
    wrong = {
        f"127.0.0.1:{port}:kf={key_file}:tls_ca={authority.file}": "does not name '127.0.0.1': connect to a name",
        f"{spec}:tls_ca=/missing.pem": r"\(tls_ca\): '/missing.pem'",
        f"{spec}:tls_ca={key_file}": "tls_ca '.*': there is no certificate in PEM format in it",
    }
    for each, message in wrong.items():
        with pytest.raises(
            (ConnectError, KeyFileError), match=rf"^cannot connect to 127\.0\.0\.1:\d+: .*{message}"
        ):
            Client.from_spec(each)
    with pytest.raises(SpecError, match="tls must be auto, require or off, not 'yes'"):
        Client.from_spec(f"{spec}:tls=yes")


def test_expired(start_server: Start, key_file: Path, authority: Authority) -> None:
    """An expired certificate is refused by clients that know its CA."""
    port = start_server("--tls-cert", authority.sign("127.0.0.1", YESTERDAY)).port
    with pytest.raises(ConnectError, match="the certificate of the server has expired: renew it there"):
        Client.from_spec(f"127.0.0.1:{port}:kf={key_file}:tls_ca={authority.file}")


def test_certificates_of_clients(start_server: Start, key_file: Path, authority: Authority) -> None:
    """A server with --tls-ca takes clients with a certificate, and refuses others; its log says why."""
    server = start_server("--tls-cert", authority.sign("127.0.0.1"), "--tls-ca", authority.file)
    spec = f"127.0.0.1:{server.port}:kf={key_file}"
    certificate = authority.sign("client.example")
    with Client.from_spec(f"{spec}:tls_cert={certificate}:tls_ca={authority.file}") as client:
        assert client.eval("1 + 1") == 2
    with pytest.raises(ConnectError, match=r"demands a certificate of the client \(--tls-ca\)"):
        Client.from_spec(spec)
    server.wait_for_log("the client has shown no certificate (tls_cert=), which --tls-ca demands")
    with pytest.raises(ConnectError, match="the client has switched it off"):
        Client.from_spec(f"{spec}:tls=off")


def test_end_of_a_process(spec: str) -> None:
    """The error for a process that was killed says so, within TLS too."""
    client = Client.from_spec(spec)
    with pytest.raises(easycluster.ConnectionLost, match=r"was ended by signal 9 \(SIGKILL\)"):
        client.execblock("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    client.close()


def test_nothing_is_imported_without_need(tcp_server: Server, key_file: Path) -> None:
    """A client that does not use TLS does not import `ssl`."""
    code = (
        "import sys, easycluster\n"
        f"client = easycluster.Client.from_spec('127.0.0.1:{tcp_server.port}:kf={key_file}')\n"
        "assert not easycluster.security(client).encrypted\n"
        'assert client.eval(\'__import__("sys").modules.get("ssl")\') is None\n'
        "client.close()\n"
        "print('ssl' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "False\n"


def test_ssl_is_imported_ahead(spec: str) -> None:
    """No connection to a server that offers TLS waits for the import of `ssl`, which is there before it begins."""
    with Client.from_spec(f"{spec}:tls=off") as client:
        assert client.eval("'easycluster_server._io.tls_handshake' in __import__('sys').modules")


def test_errors_of_a_server(key_file: Path, tmp_path: Path, authority: Authority) -> None:
    """A server with files that it cannot use does not start, and names option and file."""
    missing, certificate = tmp_path / "missing.pem", authority.sign("127.0.0.1")
    wrong: dict[tuple[Any, ...], str] = {
        ("--tls-cert", missing): f"(--tls-cert): '{missing}'",
        ("--tls-cert", key_file): f"--tls-cert '{key_file}': there is no certificate in PEM format in it",
        ("--tls-cert", certificate, "--tls-ca", missing): f"(--tls-ca): '{missing}'",
        ("--tls-ca", authority.file): "--tls-ca needs a certificate of the server: add --tls-cert FILE",
        ("--tls", "yes"): "there is no way to encrypt 'yes'",
    }
    for options, message in wrong.items():
        result = run_command("-S", "-k", key_file, "-p", 0, *options)
        assert result.returncode in {1, 2}
        assert message in result.stderr


def test_other_connections(local: Any) -> None:
    """A local process needs no encryption; what is no client has none."""
    assert repr(easycluster.security(local)) == "<Security: local process>"
    with pytest.raises(TypeError, match=r"^security\(\) takes a client, not str$"):
        easycluster.security("host")  # type: ignore[arg-type]


@pytest.mark.needs_sshd
def test_ssh(sshd: Any) -> None:
    """A connection by ssh is encrypted by that."""
    with Client(host="h", ssh=True, rpython=sys.executable, extra_args=sshd.options) as client:
        assert easycluster.security(client) == ("ssh", True, None)
