"""The client's code begins with what a server of any version has left for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from easycluster_server._processes.resumed import read_config

RECORDED = Path(__file__).parents[2] / "data" / "upgrade"


@pytest.fixture(autouse=True)
def importer(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands for the importer of the bootstrap."""
    module = SimpleNamespace(calls=[], add=lambda packed: None)
    module.restore_path = lambda: module.calls.append("restore_path")
    monkeypatch.setitem(sys.modules, "easycluster_bootstrap", module)
    return module


def write(text: bytes) -> int:
    """A descriptor from which the text is read."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(text)
    return reading


def test_a_recorded_session_is_understood(importer: SimpleNamespace) -> None:
    """What the first version left is understood for ever."""
    config = read_config(write((RECORDED / "session.json").read_bytes().replace(b'"/p"', b'""')))
    agreement = config["agreement"]
    config["before_calls"]()

    assert (agreement.send_key, agreement.receive_key) == (b"c" * 32, b"s" * 32)
    assert (agreement.pickle_protocol, agreement.compress, agreement.name) == (5, True, b"n" * 16)
    assert (config["peer"], config["verbosity"]) == ("192.0.2.1:5", 1)
    assert config["add_modules"] is importer.add
    assert importer.calls == ["restore_path"]


def test_a_recorded_session_with_tls_is_understood() -> None:
    """The worker makes the handshake of TLS, and the frames have no keys."""
    config = read_config(write((RECORDED / "session-tls.json").read_bytes()))
    agreement = config["agreement"]

    assert (agreement.send_key, agreement.receive_key) == (None, None)
    assert agreement.tls == ("tls-cert", b"t" * 32)
    assert config["tls"] is not None
    assert config["tls"].paths == ("/cert.pem", None, "/ca.pem")


def test_a_session_of_a_later_version() -> None:
    """What is unknown is ignored, and what is missing has a default."""
    config = read_config(write(b'{"later": [1, 2]}'))
    agreement = config["agreement"]

    assert (agreement.send_key, agreement.receive_key, agreement.pickle_protocol) == (None, None, 4)


def test_profiles_are_written(tmp_path: Path) -> None:
    """A server that profiles says where, and the client's code does it."""
    code = (
        "import os, sys, types\n"
        "from easycluster_server._processes.resumed import read_config\n"
        "sys.modules['easycluster_bootstrap'] = types.SimpleNamespace(restore_path=int, add=int)\n"
        "read_config(0)['before_calls']()\n"
    )
    session = f'{{"profile": "{tmp_path}/profile"}}'
    subprocess.run([sys.executable, "-c", code], input=session.encode(), check=True)

    assert len(list(tmp_path.glob("profile.*"))) == 1
