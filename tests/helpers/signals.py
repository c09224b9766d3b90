"""Gives the tests, and all that they start, the signals of a program that was started at a terminal. A pytest plugin.

`nohup`, and a shell that starts something in the background, let it ignore signals, SIGINT among them; other
programs block some. Both are passed on from process to process, and tests of Ctrl-C would wait for ever.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

#: What Python itself ignores. `subprocess` gives them back to the programs that it starts.
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}


@pytest.fixture(autouse=True, scope="session")
def signals_of_a_terminal() -> Iterator[None]:
    """No signal is blocked, SIGINT raises, and no program that is started ignores any."""
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ignored = {
        number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN
    } - _IGNORED_BY_PYTHON
    for number in ignored:
        # A handler lasts only until another program is executed, so that one starts with the default. This process
        # itself still does not end by what it was told to ignore.
        signal.signal(number, lambda number, frame: None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
