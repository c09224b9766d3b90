"""The files of a server with a certificate: read once, when that is asked for."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from easycluster_protocol.errors import KeyFileError
from easycluster_server._io.tls_server_files import ServerFiles
from helpers.certificates import Authority


def test_files_are_read_when_it_is_asked_for(tmp_path: Path) -> None:
    """What was loaded is taken, also when the file is out of reach then, and is given away once."""
    certificate = Authority(tmp_path).sign("host.example")
    files = pickle.loads(pickle.dumps(ServerFiles(str(certificate))))
    files.load()
    certificate.unlink()
    loaded = files.take()

    assert loaded.certificate
    assert files.paths == (str(certificate), None, None)
    with pytest.raises(FileNotFoundError, match="--tls-cert"):
        files.take()


def test_files_that_are_read_late(tmp_path: Path) -> None:
    """Without `load` they are read when they are needed, with the same errors."""
    authority = Authority(tmp_path)
    files = ServerFiles(str(authority.sign("host.example")), None, str(authority.file))

    assert files.take().keyless.verify_mode == files.take().context.verify_mode
    with pytest.raises(KeyFileError, match="--tls-cert"):
        ServerFiles(str(authority.file)).take()
