"""The error of a command line that cannot be carried out."""

from __future__ import annotations


class UsageError(Exception):
    """The command line asks for something that cannot be done; the text is for the user."""
