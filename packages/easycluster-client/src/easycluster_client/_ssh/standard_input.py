"""Commands that would read our code from their standard input, and take it for passwords."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from easycluster_protocol.errors import SpecError

#: The letters of sudo's options that have a value: the rest of the word, or the next one.
_WITH_VALUE = "CDghpRrTtUu"


def check_standard_input(command: Sequence[str], label: str) -> None:
    """Make sure that no sudo in a command reads passwords from its standard input, where our code comes.

    Each line of the code would be a failed login.

    Args:
        command: the words of the command.
        label: the name of the command, for the message.

    Raises:
        SpecError: one does.
    """
    for index, word in enumerate(command):
        if os.path.basename(word) == "sudo" and _reads_passwords(command[index + 1 :]):
            raise SpecError(
                f"{label} cannot use sudo -S: sudo would take the code that EasyCluster sends for passwords;"
                " write sudo -n, and allow the command without a password there (NOPASSWD in sudoers)"
            )


def _reads_passwords(arguments: Sequence[str]) -> bool:
    """Return whether sudo reads passwords from its standard input if it has these arguments."""
    letters = ""
    has_value = False
    for word in arguments:
        if has_value:
            has_value = False
        elif word in ("--stdin", "--non-interactive"):
            letters += "S" if word == "--stdin" else "n"
        elif re.match(r"-[^-]", word):
            flags = re.split(f"[{_WITH_VALUE}]", word[1:], maxsplit=1)
            letters += flags[0]
            has_value = flags[1:] == [""]
        elif not re.match(r"--.|\w+=", word):
            break  # the command that sudo runs
    return "S" in letters and "n" not in letters
