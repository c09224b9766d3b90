from __future__ import annotations

import subprocess
import sys

import pytest

from easycluster_protocol._handshake.encryption import BY_CERTIFICATE, BY_KEY
from easycluster_server._io.tls_ability import find_ways
from helpers.pythons import every_python, find_pythons
from helpers.tls_masters import SOURCES


def test_ways() -> None:
    """Every Python with `ssl` can use certificates; the shared key alone takes 3.13."""
    assert find_ways() == [*([BY_KEY] if sys.version_info >= (3, 13) else []), BY_CERTIFICATE]


@every_python("3.7")
def test_other_pythons(version: str) -> None:
    """It is so on every Python, and `ssl` is not imported for the answer."""
    code = "import sys; from easycluster_server._io.tls_ability import find_ways; print(find_ways(), 'ssl' in sys.modules)"
    result = subprocess.run(
        [find_pythons()[version], "-c", code],
        env={"PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=True,
    )
    minor = int(version.split(".")[1])
    ways = [BY_KEY] * (minor >= 13) + [BY_CERTIFICATE]

    assert result.stdout.split() == f"{ways} False".split()


def test_python_without_ssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that was built without `ssl` has no way."""
    monkeypatch.delitem(sys.modules, "_ssl", raising=False)
    monkeypatch.setattr(sys, "meta_path", [])

    assert BY_CERTIFICATE not in find_ways()
