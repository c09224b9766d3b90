"""Signal handlers that raise while a connection is made by SSH: in every place of the client's code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import easycluster_bootstrap
import easycluster_client
from easycluster_client._connect import connect
from easycluster_client._ssh import process as process_module
from easycluster_protocol._handshake.hello import WELCOME, describe_self, pack_packet
from helpers import checkpoints, leaks
from helpers.checkpoints import places, strike
from helpers.fake_ssh import address
from helpers.waiting import wait_until

MARKER = b"easycluster-0123456789abcdef0123456789abcdef"

#: Says what a host says, and stays.
ANSWERING = """\
#!/bin/sh
[ "$1" = -G ] && exit 1
cat {answer}
exec cat >/dev/null
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program in the place of ssh, which answers at once as a host would."""
    monkeypatch.setattr(easycluster_bootstrap, "new_marker", lambda: MARKER)
    welcome = pack_packet(WELCOME, describe_self(process=1, host="h"))
    (tmp_path / "answer").write_bytes(b"Welcome!\n" + MARKER + b"\n" + welcome)
    path = tmp_path / "ssh"
    path.write_text(ANSWERING.format(answer=tmp_path / "answer"))
    path.chmod(0o755)
    return str(path)


@pytest.mark.untraced
def test_connecting(program: str, run_mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever connecting is interrupted, no process, no thread and no descriptor is left."""
    checkpoints._switch_on()
    # The handshake is tested by itself, and has hundreds of places. So has what compresses our code.
    monkeypatch.setattr(process_module, "startup_bundle", lambda *arguments: b"our code")
    monkeypatch.setattr(checkpoints, "_FOLDERS", (str(Path(easycluster_client.__file__).parent) + os.sep,))
    before = leaks.take(run_mark)

    def once(at: int) -> bool:
        outcome: Any = strike(lambda: connect.connect(address(program)), at)
        if outcome.value is not None:
            outcome.value.transport.close()
            outcome.value.finish()
        # What a killed ssh had started ends by itself, a moment later.
        wait_until(lambda: "processes" not in leaks.take(run_mark).beyond(before), what=f"its end, {outcome}")
        return bool(outcome.struck)

    assert places(once) > 50
    leaks.assert_none_since(before, run_mark)
