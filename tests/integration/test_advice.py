"""Errors say what to do: those of clients without a connection, and those of common slips."""

from __future__ import annotations

import re
import socket
import sys
from typing import Any

import pytest

import easycluster
from easycluster import (
    Client,
    ConnectError,
    ConnectionLost,
    SerializationError,
    ThreadedClient,
    define_common,
)

ENDED = (
    r"the process (there|\d+ on .*) (has ended(, or the network has failed| itself with status 3)?"
    r"|was ended by signal 9 \(SIGKILL\))"
)
ADVICE = r"(call reconnect\(\) to connect again|start a new one with spawn_local\(\))"
MAYBE_RUN = r"; the call of os\.\w+ was sent, and may have been run$"
END = {
    "process ends": lambda client: client.os._exit(3),
    "is killed": lambda client: client.call("os.kill", client.os.getpid(), 9),
}

both = pytest.mark.parametrize("kind", [Client, ThreadedClient])


@both
@pytest.mark.parametrize("how", END)
def test_lost(connect: Any, kind: Any, how: str) -> None:
    """The calls that were under way say what may have happened and what to do; later ones that they are
    later."""
    client = connect(kind)
    name = client.peername
    with pytest.raises(ConnectionLost) as caught:
        END[how](client)
    with pytest.raises(ConnectionLost) as later:
        client.eval("1")

    said = rf"(the connection ended \({name}\): {ENDED}|the connection to {name} was lost(: .*)?)"
    assert re.fullmatch(rf"{said}; {ADVICE}{MAYBE_RUN}", str(caught.value)), caught.value
    addition = " (it had ended before this call, which was not sent)"
    assert str(later.value) == re.sub(MAYBE_RUN, "", str(caught.value)) + addition


@both
def test_name_stays(connect: Any, kind: Any) -> None:
    """A client that was closed still shows the name of its server, and so do its names and views."""
    client = connect(kind)
    name = client.peername
    client.close()

    assert client.peername == name
    assert repr(client) == f"<{kind.__name__} of {name}, not connected>"
    assert repr(client.counter) == f"<counter on {name}>"
    assert name in repr(easycluster.options(client, timeout=1))
    with pytest.raises(ConnectionLost, match=rf"^not connected to {name} \(closed\): {ADVICE}$"):
        client.eval("1")
    outcomes = easycluster.eval_multi(easycluster.options([client], errors="return"), "1")
    assert [each.host for each in outcomes] == [name]


@both
def test_reconnecting_fails(start_server: Any, key: bytes, kind: Any) -> None:
    """After a failed reconnect() the name is that of the address, and calls say to try again."""
    server = start_server()
    client = kind(key, "127.0.0.1", server.port)
    name = client.peername
    server.stop()
    with pytest.raises(ConnectError, match=f"cannot connect to {name}"):
        client.reconnect()

    assert client.peername == name
    assert repr(client) == f"<{kind.__name__} of {name}, not connected>"
    expected = rf"^not connected to {name} \(the connection could not be made\): call reconnect\(\) to"
    with pytest.raises(ConnectionLost, match=expected):
        client.eval("1")


def test_reconnecting_is_impossible(local: Any) -> None:
    """A client without an address says what to do in place of reconnect()."""
    with pytest.raises(
        ValueError, match=rf"; for {local.peername} it is not possible: start a new one with sp"
    ):
        local.reconnect()
    client = Client()
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(ConnectError, match="cannot connect to pair"):
        client.set_socket(ours, "pair")
    with pytest.raises(
        ValueError, match=r"for pair it is not possible: use a new socket with set_socket\(\)"
    ):
        client.reconnect()
    with pytest.raises(ConnectionLost, match=r"^not connected to pair \(the connection could not be made\)"):
        client.eval("1")


def test_result_that_cannot_be_sent(client: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """The stack trace that is printed has no frames of EasyCluster, but those of the user's own pickling."""
    client.execblock(
        "import threading\nclass Broken:\n    def __reduce__(self):\n        return threading.Lock(), ()\n"
    )
    for name in ("threading.Lock", "Broken"):
        with pytest.raises(SerializationError, match=f"the result of {name} cannot be sent"):
            client.call(name)
        printed = capfd.readouterr().err
        frames = [line for line in printed.splitlines() if line.startswith("  File ")]
        assert [line for line in frames if "easycluster" in line or "cloudpickle" in line] == [], printed
    assert "make_server_class(Broken) makes such objects stay on the server" in printed


def test_hints(client: Any) -> None:
    """Slips that remote errors show are explained here, whichever way the calls go."""
    define_common("def measure(): return time.time()\n")
    client.update_definitions()
    with pytest.raises(
        NameError, match=r"; no define_common\(\) mentions it; host.call\(mesure, ...\) sends"
    ):
        client.mesure()
    with pytest.raises(TypeError, match=r"'non_blocking'.*\(did you mean nonblocking\?\)"):
        client.measure(non_blocking=True)
    with pytest.raises(NameError) as caught:
        client.measure(origexc="quiet")
    if sys.version_info >= (3, 11):
        assert "import time in the text given to define_common()" in caught.value.__notes__
    response = client.abs(-3, nonblocking=True)
    with pytest.raises(TypeError, match=r"call wait\(\) for the value"):
        response + 1
    with pytest.raises(AttributeError, match=r"wait\(\) returns the value"):
        response.value  # noqa: B018
    assert response.wait() == 3


def test_who_was_killed(start_server: Any, key: bytes) -> None:
    """The log of a server says which connection's process was ended by a signal."""
    server = start_server()
    client: Any = Client(key, "127.0.0.1", server.port)
    port = client._easycluster_connection.transport.socket.getsockname()[1]
    pid = client.os.getpid()
    with pytest.raises(ConnectionLost):
        client.call("os.kill", pid, 9)

    log = server.wait_for_log("SIGKILL")
    assert f"the process {pid} on " in log
    assert f" for the connection from 127.0.0.1:{port} was ended by signal 9 (SIGKILL)" in log
