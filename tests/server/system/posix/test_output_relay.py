"""The relay of a worker's output, with pipes in the place of the worker's and of standard error."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from easycluster_server._system.posix import output_relay
from easycluster_server._system.posix.output_relay import OutputRelay


class Pipes:
    """A relay between two pipes.

    Attributes:
        worker: where the worker prints; `errors`: where standard error is read.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reading, self.worker = os.pipe()
        self.errors, standard_error = os.pipe()
        os.set_blocking(self.errors, False)
        monkeypatch.setattr(output_relay, "_STANDARD_ERROR", standard_error)
        self.poll = select.poll()
        self.relay = OutputRelay(reading, self.poll)
        self.standard_error = standard_error
        self.descriptors = {reading, self.worker, self.errors, standard_error}

    def copy(self) -> None:
        """Let the relay do what it can do without waiting."""
        while ready := self.poll.poll(0):
            assert [descriptor for descriptor, _ in ready] == [self.relay.watched]
            self.relay.copy()

    def read(self) -> bytes:
        """Return what has arrived at standard error."""
        data = b""
        try:
            while chunk := os.read(self.errors, 1 << 20):
                data += chunk
        except BlockingIOError:
            pass
        return data

    def close(self, *descriptors: int) -> None:
        """Close descriptors; by default all."""
        for descriptor in descriptors or tuple(self.descriptors):
            self.descriptors.discard(descriptor)
            try:
                os.close(descriptor)
            except OSError:  # the relay has closed it
                pass


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipes]:
    """A relay."""
    made = Pipes(monkeypatch)
    yield made
    made.close()


def test_output_is_copied(pipes: Pipes) -> None:
    """What is printed arrives, in its order, lines that are not finished too."""
    for text in (b"one\n", b"two\nthr", b"ee", b"\n"):
        os.write(pipes.worker, text)
        pipes.copy()

        assert pipes.read() == text


def test_nobody_reads(pipes: Pipes) -> None:
    """While nobody reads standard error, the pipe is not read: who prints has to wait, and nothing is lost."""
    os.set_blocking(pipes.worker, False)
    printed = b""
    with pytest.raises(BlockingIOError):
        for number in range(1000):
            pipes.copy()
            text = (b"%d " % number) * 1000
            printed += text[: os.write(pipes.worker, text)]
    assert pipes.poll.poll(0) == []
    arrived = b""
    while len(arrived) < len(printed):
        arrived += pipes.read()
        pipes.copy()

    assert arrived == printed


def test_pieces_end_with_lines(pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others print to standard error comes between two lines, as long as lines are not too long."""
    monkeypatch.setattr(output_relay, "PIECE_BYTES", 10)
    os.write(pipes.worker, b"abc\ndefg\nhijk\n" + b"x" * 15 + b"\n")
    pipes.relay.copy()
    pieces = []
    while pipes.relay.pending:
        pipes.relay.copy()
        pieces.append(pipes.read())

    assert pieces == [b"abc\ndefg\n", b"hijk\n", b"x" * 10, b"x" * 5 + b"\n"]


def test_all_is_taken(pipes: Pipes) -> None:
    """At the end, what was printed so far is taken at once, and written while what comes later waits."""
    os.write(pipes.worker, b"x" * 50000)
    pipes.relay.take_all()
    os.write(pipes.worker, b"later")
    while pipes.relay.pending:
        pipes.relay.copy()

    assert pipes.read() == b"x" * 50000


def test_end_of_the_worker(pipes: Pipes) -> None:
    """When nobody can print any more, what was printed arrives, and nothing is waited for."""
    os.write(pipes.worker, b"last words")
    pipes.close(pipes.worker)
    pipes.copy()

    assert pipes.read() == b"last words"
    assert pipes.relay.watched == -1


def test_standard_error_is_gone(pipes: Pipes) -> None:
    """When standard error has no reader any more, output is thrown away, and nobody waits."""
    pipes.close(pipes.errors)
    for _ in range(100):
        os.write(pipes.worker, b"x" * 60000)
        pipes.copy()

    assert pipes.relay.pending == b""


def test_standard_error_does_not_block(pipes: Pipes) -> None:
    """When somebody has set standard error to non-blocking mode, nothing is lost either."""
    os.set_blocking(pipes.standard_error, False)
    pipes.close(pipes.worker)
    pipes.relay.pending = b"x"
    while True:
        try:
            os.write(pipes.standard_error, b"y")
        except BlockingIOError:
            break
    pipes.relay.copy()
    assert pipes.relay.pending == b"x"
    pipes.read()
    pipes.relay.copy()

    assert pipes.read() == b"x"


def test_no_pipe() -> None:
    """Where the worker has standard output and error of its own, there is nothing to do."""
    relay = OutputRelay(-1, select.poll())
    relay.take_all()

    assert (relay.watched, relay.pending) == (-1, b"")
