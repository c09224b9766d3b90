"""Servers by class and by `run_server`, without the processes that they start."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_protocol.errors import KeyFileError
from easycluster_server._standalone import listener, servers
from easycluster_server._standalone.servers import (
    QuietServer,
    Server,
    run_server,
    stop_server,
)
from helpers.pair import KEY
from helpers.sshd import free_port
from helpers.waiting import PATIENCE, wait_until


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started for a connection; none is proved here."""
    monkeypatch.setattr(
        listener,
        "WorkerStarter",
        lambda *_: SimpleNamespace(prepare=bool, close=bool, code_objection="", answers_questions=True),
    )


@pytest.mark.parametrize("options", [{}, {"bindaddr": "127.0.0.1", "disable_ipv6": True, "verbosity": 2}])
def test_run_and_stop_server(options: dict[str, Any]) -> None:
    """`run_server` serves until `stop_server` is called."""
    port = free_port()
    thread = threading.Thread(target=run_server, args=(port, KEY), kwargs=options)
    thread.start()
    wait_until(lambda: servers._running)
    socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    stop_server()
    thread.join()

    assert not servers._running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), PATIENCE)


def test_wrong_arguments() -> None:
    """What is wrong is found before anything is served."""
    for kind in (Server, QuietServer):
        with pytest.raises(KeyFileError):
            kind(0, b"short")
        with pytest.raises(ValueError, match="network"):
            kind(0, KEY, allow=["network"])
    with pytest.raises(KeyFileError):
        run_server(0, b"")


def test_how_much_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class logs as much as its name says, unless it is told; afterwards logging is as it was."""
    logger = logging.getLogger("easycluster")
    monkeypatch.setattr(logger, "propagate", False)  # as where the program has not set up logging
    found = []
    for kind, verbosity in ((Server, None), (QuietServer, None), (QuietServer, 1), (Server, 3)):
        server = kind(0, KEY, "127.0.0.1", verbosity=verbosity)
        monkeypatch.setattr(server, "_serve_once", lambda: found.append((logger.level, len(logger.handlers))))
        server.serve()

    assert found == [(logging.INFO, 1), (logging.WARNING, 1), (logging.INFO, 1), (logging.DEBUG, 1)]
    assert (logger.level, logger.handlers) == (logging.NOTSET, [])


def test_logging_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program has set up logging itself, nothing is added."""
    logger = logging.getLogger("easycluster")
    monkeypatch.setattr(logger, "handlers", [handler := logging.NullHandler()])
    found = []
    server = Server(0, KEY, "127.0.0.1")
    monkeypatch.setattr(server, "_serve_once", lambda: found.append(logger.handlers))
    server.serve()

    assert found == [[handler]]


def test_check_runner() -> None:
    """A script of 0.x that calls it at its beginning goes on after it, whatever its arguments are, and nothing runs
    beside it."""
    script = """
import sys, threading
from easycluster.server import server_check_runner
returned = server_check_runner()
print(returned, sys.argv[1:], threading.active_count())
"""
    arguments = ["-S", "--help"]
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, f"None {arguments} 1\n", "")
