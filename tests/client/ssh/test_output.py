"""What hosts print, on its way to standard error: pipes in the place of ssh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from easycluster_client._ssh import output
from helpers.screens import Host, Recorder, has_come, let_it_look, make_screen, serve_hosts, threads
from helpers.waiting import PATIENCE, wait_until

screen = pytest.fixture(make_screen)
host = pytest.fixture(serve_hosts)


def test_lines(host: Callable[..., Host], screen: Recorder) -> None:
    """Whole lines are shown at once, and flushed; the beginning of the next one waits for its end."""
    one = host()
    one.say("first\nsecond\nthi")
    screen.wait_for("first\nsecond\n")

    one.say("rd")
    let_it_look(host, screen)
    assert screen.text == "first\nsecond\n"

    one.say("\n")
    screen.wait_for("first\nsecond\nthird\n")
    assert screen.writes == ["first\nsecond\n", "third\n"]


def test_last_line(host: Callable[..., Host], screen: Recorder) -> None:
    """What has no line end when the host leaves is shown then, as a line."""
    one = host()
    one.say("first\nsecond")
    one.leave()
    one.output.finish(PATIENCE)

    assert screen.text == "first\nsecond\n"


def test_nothing_is_left_after_finish(host: Callable[..., Host], screen: Recorder) -> None:
    """All that was printed before the host left stands there when `finish` returns."""
    one = host()
    text = "".join(f"line {number}\n" for number in range(5000))

    def write() -> None:
        one.say(text)
        one.leave()

    writer = threading.Thread(target=write)
    writer.start()
    one.output.finish(PATIENCE)
    writer.join()

    assert screen.text == text


def test_finish_does_not_wait_for_ever(host: Callable[..., Host], screen: Recorder) -> None:
    """When somebody keeps the pipe open, what has come is shown, and no more is read."""
    one = host()
    one.say("first\nsecond")
    wait_until(has_come(one.output, "second"))

    one.output.finish(0.01)
    wait_until(lambda: not threads())

    assert screen.text == "first\nsecond\n"
    with pytest.raises(BrokenPipeError):
        one.say("more")


def test_two_hosts(host: Callable[..., Host], screen: Recorder) -> None:
    """The lines of several hosts do not mix, however they arrive."""
    one, two = host(), host()
    for number in range(50):
        one.say(f"one {number} ")
        two.say(f"two {number} ")
        wait_until(has_come(one.output, f"one {number} "))
        one.say("end\n")
        two.say("end\n")

    wait_until(lambda: screen.text.count("\n") == 100)
    lines = screen.text.splitlines()
    assert sorted(lines) == sorted(f"{name} {n} end" for name in ("one", "two") for n in range(50))
    assert [line for line in lines if line[:3] == "one"] == [f"one {n} end" for n in range(50)]


def test_long_line(host: Callable[..., Host], screen: Recorder) -> None:
    """A line without end is shown in pieces, and does not grow without end here."""
    one = host()
    writer = threading.Thread(target=one.say, args=(b"x" * 1_000_000,))
    writer.start()
    wait_until(lambda: screen.text.count("x") > 900_000)
    writer.join()

    assert max(map(len, screen.writes)) <= output._LONGEST_LINE + output._CHUNK
    assert "\n" not in screen.text
    assert len(one.output._unshown) <= output._LONGEST_LINE


def test_line_of_a_few_chunks_stays_whole(host: Callable[..., Host], screen: Recorder) -> None:
    """A line that comes in pieces stays whole as long as it is not longer than 64 KiB."""
    one = host()
    for letter in "abcd":
        one.say(letter * 15_000)
        wait_until(has_come(one.output, letter))
    one.say("\n")

    screen.wait_for("".join(letter * 15_000 for letter in "abcd") + "\n")
    assert len(screen.writes) == 1


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("käse 名\n".encode(), "käse 名\n"),
        (b"\xff\xfe\x00\n", "\\xff\\xfe\x00\n"),
        (b"\r50%\r100%\n", "\r50%\r100%\n"),
        (b"\n\n", "\n\n"),
    ],
)
def test_bytes(host: Callable[..., Host], screen: Recorder, data: bytes, shown: str) -> None:
    """UTF-8 is shown as text, and what is none by its bytes."""
    host().say(data)

    screen.wait_for(shown)


def test_letter_in_two_pieces(host: Callable[..., Host], screen: Recorder) -> None:
    """A letter of several bytes stays whole, however it arrives."""
    one = host()
    for byte in "名".encode():
        one.say(bytes([byte]))
        let_it_look(host, screen)
    one.say(b"\n")

    screen.wait_for("名\n")


# Held back.


def test_held_back(host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the connection stands nothing is shown, and then all of it."""
    monkeypatch.setattr(output, "_HOLD_SECONDS", 1000)
    one = host(shown=False)
    one.say("a banner\nand ")
    let_it_look(host, screen)
    assert screen.text == ""
    assert one.output.text == "a banner\nand "

    one.output.show()
    screen.wait_for("a banner\n")
    one.say("more\n")
    screen.wait_for("a banner\nand more\n")


def test_held_back_for_a_moment(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When connecting takes longer, what ssh says is shown: it may want something of the user."""
    monkeypatch.setattr(output, "_HOLD_SECONDS", 0.1)
    one = host(shown=False)
    one.say("Confirm user presence for key ED25519-SK\n")

    screen.wait_for("Confirm user presence for key ED25519-SK\n")


def test_much_is_not_held_back(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that prints and prints does not fill the memory meanwhile."""
    monkeypatch.setattr(output, "_HOLD_SECONDS", 1000)
    one = host(shown=False)
    writer = threading.Thread(target=one.say, args=(b"spam\n" * 100_000,))
    writer.start()
    writer.join(PATIENCE)

    wait_until(lambda: screen.text.count("spam\n") > 80_000)
    assert len(one.output._unshown) <= output._LONGEST_LINE


def test_discarded(host: Callable[..., Host], screen: Recorder) -> None:
    """What stands in an error is not shown as well, also what comes meanwhile, but it is kept for the error."""
    one = host(shown=False)
    one.say("ssh: no\n")
    one.output.discard()
    one.say("and no\nagain")
    one.leave()
    one.output.finish(PATIENCE)

    assert one.output.text == "ssh: no\nand no\nagain"
    assert screen.text == ""


def test_discarded_without_end(host: Callable[..., Host], screen: Recorder) -> None:
    """Nor is it kept, however much it is, but for the end of it."""
    one = host(shown=False)
    one.output.discard()
    writer = threading.Thread(target=one.say, args=(b"spam\n" * 100_000 + b"end\n",))
    writer.start()
    wait_until(has_come(one.output, "end\n"))
    let_it_look(host, screen)

    assert screen.text == ""
    assert one.output._unshown == b""
    assert len(one.output.text) <= 4096
    writer.join()


def test_discarded_after_a_while(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment for which words are held back does not end any more then."""
    monkeypatch.setattr(output, "_HOLD_SECONDS", 0)
    one = host(shown=False)
    one.output.discard()
    one.say("no\n")
    let_it_look(host, screen)

    assert screen.text == ""


def test_kept_words_are_the_last(host: Callable[..., Host], screen: Recorder) -> None:
    """For an error the last 4 KiB are kept."""
    one = host()
    for number in range(10):
        one.say(str(number) * 1000)
        wait_until(has_come(one.output, str(number)))

    assert one.output.text == "".join(str(number) * 1000 for number in range(10))[-4096:]


def test_time_of_holding_back(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words are held back until nothing has come for two seconds: so those that end ssh are not shown before."""
    now = 500.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    one = host(shown=False)
    one.say("a banner\n")
    let_it_look(host, screen)
    assert one.output.due == 502.0
    now = 501.9
    one.say("Permission denied (publickey).\n")
    let_it_look(host, screen)

    assert one.output.due == 503.9
    assert screen.text == ""


def test_last_words_of_an_ssh_that_took_long(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words with which ssh ends are for the error alone, also long after it began to connect."""
    now = 500.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    one = host(shown=False)
    now = 600.0
    one.say("ssh: connect to host h port 22: Connection timed out\n")
    one.leave()
    one.output.finish(PATIENCE)

    assert one.output.text.endswith("timed out\n")
    assert screen.text == ""


# Lines that are not finished.


@pytest.fixture
def impatient(host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment is over at once."""
    monkeypatch.setattr(output, "_PARTIAL_SECONDS", 0)


def test_moment_after_which_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment is short enough for a user who watches."""
    assert 0 < output._PARTIAL_SECONDS < 0.5


def test_end_of_the_moment(
    host: Callable[..., Host], screen: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins with the first byte of the line, and does not begin again with each further one."""
    now = 500.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(output, "_PARTIAL_SECONDS", 0.25)
    one = host()
    one.say("line\none")
    screen.wait_for("line\n")
    now = 500.125
    one.say(" two")
    let_it_look(host, screen)
    assert one.output.due == 500.25
    assert screen.text == "line\n"
    now = 500.25
    one.say(" three")

    screen.wait_for("line\none two three")
    assert one.output.due == output._NEVER


@pytest.mark.usefixtures("impatient")
def test_a_line_that_goes_on(host: Callable[..., Host], screen: Recorder) -> None:
    """A line is shown as far as it has come, and goes on in its place."""
    one = host()
    one.say("working ")
    screen.wait_for("working ")
    one.say("... ")
    screen.wait_for("working ... ")
    one.say("done\n")
    screen.wait_for("working ... done\n")
    one.leave()
    one.output.finish(PATIENCE)

    assert screen.text == "working ... done\n"


@pytest.mark.usefixtures("impatient")
def test_unfinished_line_of_another(host: Callable[..., Host], screen: Recorder) -> None:
    """What another host prints meanwhile gets a line of its own, and what ends without a line end gets one."""
    one, two = host(), host()
    one.say("one ")
    screen.wait_for("one ")
    two.say("two\n")
    screen.wait_for("one \ntwo\n")
    one.say("goes on")
    screen.wait_for("one \ntwo\ngoes on")
    one.leave()
    one.output.finish(PATIENCE)

    assert screen.text == "one \ntwo\ngoes on\n"


def test_carriage_returns(host: Callable[..., Host], screen: Recorder) -> None:
    """Each step of a progress bar is shown at once."""
    one = host()
    for step in ("\r50%", "\r75%", "\r100%"):
        one.say(step)
        wait_until(has_come(one.output, step))
    screen.wait_for("\r50%\r75%\r")
    one.say("\n")

    screen.wait_for("\r50%\r75%\r100%\n")


@pytest.mark.usefixtures("impatient")
def test_letter_that_is_not_finished(host: Callable[..., Host], screen: Recorder) -> None:
    """A letter of several bytes is not cut, also where a line is; one that never ends is shown by its bytes."""
    one = host()
    first, *rest = (bytes([byte]) for byte in "名".encode())
    one.say(b"a" + first)
    screen.wait_for("a")
    for byte in rest:
        one.say(byte)
    screen.wait_for("a名")
    one.say(first)
    one.leave()
    one.output.finish(PATIENCE)

    assert screen.text == "a名\\xe5\n"
