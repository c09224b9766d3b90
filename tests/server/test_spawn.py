from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from easycluster_server import _spawn


class FakeStarter:
    """Takes the requests for workers."""

    answers_questions = True

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error
        self.configs: list[dict[str, Any]] = []

    def spawn(self, link: socket.socket, config: dict[str, Any], words: object) -> None:
        if self.error is not None:
            raise self.error
        self.configs.append(config)


class FakeClient:
    """Takes the connection."""

    def set_socket(self, connection: socket.socket, name: str) -> None:
        self.name = name
        connection.close()


def test_names_are_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every local server has a name of its own, and is told what it inherits."""
    fake = FakeStarter()
    monkeypatch.setattr(_spawn, "worker_starter", fake)
    names = []
    for _ in range(2):
        connection, name = _spawn.start_local(verbosity=2)
        connection.close()
        names.append(name)

    assert len(set(names)) == 2
    assert all(name.startswith("local:") for name in names)
    assert fake.configs[0]["verbosity"] == 2
    assert fake.configs[0]["cwd"] == os.getcwd()


def test_class_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is of the class that was asked for."""
    monkeypatch.setattr(_spawn, "worker_starter", FakeStarter())
    client = _spawn.spawn_local(FakeClient)

    assert isinstance(client, FakeClient)
    assert client.name.startswith("local:")


def test_keywords_go_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `spawn_local` is told beside the class is told to the server; what it does not know is refused."""
    fake = FakeStarter()
    monkeypatch.setattr(_spawn, "worker_starter", fake)
    _spawn.spawn_local(clientclass=FakeClient, verbosity=2)
    with pytest.raises(TypeError, match="colour"):
        _spawn.spawn_local(FakeClient, colour="red")  # type: ignore[call-arg]

    assert [config["verbosity"] for config in fake.configs] == [2]


def test_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no process, nothing stays open."""
    monkeypatch.setattr(_spawn, "worker_starter", FakeStarter(OSError("no more processes")))
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no more processes"):
        _spawn.spawn_local(FakeClient)

    assert set(os.listdir("/proc/self/fd")) == before
