from __future__ import annotations

import pytest

from easycluster_client._ssh.reports import GuardianReports

ANSWER = b"STATE: T 1.25\n"


def take_all(reports: GuardianReports, *pieces: bytes) -> bytes:
    """Return what is left of pieces that come one after the other, and then the end."""
    return b"".join(map(reports.take_out, (*pieces, b"")))


def test_each_place_of_a_cut() -> None:
    """The line of a guardian is taken out of what the host prints, wherever that is cut into pieces."""
    for length in range(1, 60):
        reports = GuardianReports()
        text = b"one\ntw" + reports.mark + ANSWER + b"o\n\0three"
        pieces = [text[start : start + length] for start in range(0, len(text), length)]

        assert take_all(reports, *pieces) == b"one\ntwo\n\0three", length
        assert reports.latest is not None
        assert reports.latest[0] == ANSWER


def test_latest() -> None:
    """The latest of several lines counts."""
    reports = GuardianReports()

    assert take_all(reports, reports.mark + b"first\n" + reports.mark + ANSWER) == b""
    assert reports.latest is not None
    assert reports.latest[0] == ANSWER


@pytest.mark.parametrize("printed", [b"\0", b"\0" + b"0" * 17 + b"\n", b"no line", b"\0" * 100])
def test_what_others_print(printed: bytes) -> None:
    """What only begins as the lines of a guardian do is printed, at the latest at the end."""
    reports = GuardianReports()

    assert take_all(reports, printed) == printed
    assert reports.latest is None


def test_line_that_has_no_end() -> None:
    """A line that begins as one of a guardian and is too long for one holds nothing back for long."""
    reports = GuardianReports()
    printed = reports.mark + b"x" * 200

    assert reports.take_out(printed) + reports.take_out(b"y" * 200) == printed + b"y" * 200
