"""The ends of connections over SSH: what the host, or ssh, printed about them."""

from __future__ import annotations

import re

#: What ssh prints when it ends by itself. OpenSSH does not translate it.
_WORDS_OF_SSH = re.compile(
    r"^(Timeout, server .*|client_loop: .*|(?:Read|Write) from remote host .*|.*closed by remote host\.?"
    r"|Connection (?:reset|closed) by .*)$",
    re.MULTILINE,
)

_OF_SSH = "ssh says: "


def find_end(printed: str, worker: int) -> str:
    """Return how a connection has ended, for people; or an empty text: nothing says so.

    Args:
        printed: the latest standard error of ssh, which includes that of the remote processes.
        worker: the id of the remote process. Its programs may print the like about others.
    """
    printed = printed.replace("\r", "")
    # Not always at the beginning of a line: remote code may have printed a part of one before.
    own = rf"easycluster: ((?:the|remote code has closed the descriptors of the) process {worker} on .*)$"
    for line in re.findall(own, printed, re.MULTILINE)[-1:]:
        return str(line)
    for line in _WORDS_OF_SSH.findall(printed)[-1:]:
        return _OF_SSH + str(line)
    return ""


def is_of_ssh(end: str) -> bool:
    """Return whether an end that `find_end` has returned is that of ssh, and not of the remote process."""
    return end.startswith(_OF_SSH)


def is_timeout(end: str) -> bool:
    """Return whether an end that `find_end` has returned is of an ssh that had no answer for too long."""
    return end.startswith(f"{_OF_SSH}Timeout, server ")
