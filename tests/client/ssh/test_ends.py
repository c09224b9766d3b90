"""What is printed on standard error about the end of a connection over SSH."""

from __future__ import annotations

import pytest

from easycluster_client._ssh.ends import find_end, is_timeout

KILLED = "the process 12 on h for the login from 192.0.2.1 was ended by signal 9 (SIGKILL)"
CLOSED = "remote code has closed the descriptors of the process 12 on h, or replaced its process (os.exec*)"


@pytest.mark.parametrize("text", [KILLED, CLOSED])
def test_words_of_the_host(text: str) -> None:
    """The words of the guardian are found among others, and go before those of ssh."""
    printed = f"some output\neasycluster: {text}\r\nConnection to h closed by remote host.\n"

    assert find_end(printed, 12) == text


@pytest.mark.parametrize(
    "line",
    [
        "Timeout, server h not responding.",
        "client_loop: send disconnect: Broken pipe",
        "Connection to 127.0.0.1 closed by remote host.",
        "Read from remote host h: Connection reset by peer",
        "Connection reset by 192.0.2.1 port 22",
    ],
)
def test_words_of_ssh(line: str) -> None:
    """What ssh says about its end is quoted."""
    assert find_end(f"output\r\n{line}\r\n", 12) == f"ssh says: {line}"


@pytest.mark.parametrize(
    "printed",
    ["", "output\n", f"easycluster: {KILLED}\n".replace("12", "121")],
)
def test_other_words(printed: str) -> None:
    """Other output, and words about other processes, are no end of this connection."""
    assert find_end(printed, 12) == ""


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("ssh says: Timeout, server h not responding.", True),
        ("ssh says: Connection reset by h", False),
        ("the process 5 on h was ended by signal 9", False),
        ("", False),
    ],
)
def test_timeouts(end: str, expected: bool) -> None:
    """Only the end of an ssh that had no answer for too long is a timeout."""
    assert is_timeout(end) is expected
