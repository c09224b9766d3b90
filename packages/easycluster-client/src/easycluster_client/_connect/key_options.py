"""Keys from the options ``-k FILE`` and ``-K KEY`` of a master script, from files and from texts.

A key file that others can read or replace gives a `KeyFileWarning`, which Python prints. Other warnings go to
the logger ``easycluster.spec``, which is silent until the script configures logging.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from types import FrameType
from typing import Any, Protocol

from easycluster_protocol.errors import SpecError
from easycluster_protocol.keys import KeyFileWarning, decode_key, decode_key_quietly, hide, read_key_text
from easycluster_server._system.key_files import find_danger

logger = logging.getLogger("easycluster.spec")
# Without a handler of its own, logging would print warnings to the terminal of every master script.
logger.addHandler(logging.NullHandler())


class _ArgparseLike(Protocol):
    """An `argparse.ArgumentParser`, or a group of one."""

    def add_argument(self, *names: Any, **settings: Any) -> Any: ...


class _OptparseLike(Protocol):
    """An `optparse.OptionParser`, or an `optparse.OptionGroup`."""

    def add_option(self, *names: Any, **settings: Any) -> Any: ...


def add_key_options(
    parser: _ArgparseLike | _OptparseLike,
    key_option: str | None = "-K",
    keyfile_option: str | None = "-k",
) -> None:
    """Give a command line the options ``-K/--key KEY`` and ``-k/--keyfile FILE``.

    Args:
        parser: a parser or group of argparse or of optparse.
        key_option: the short name of ``--key``; None leaves that option out.
        keyfile_option: the short name of ``--keyfile``; None leaves that option out.

    Raises:
        TypeError: ``parser`` is neither of these.
    """
    # argparse first: a subclass may offer add_option for the sake of old code.
    add = getattr(parser, "add_argument", None) or getattr(parser, "add_option", None)
    if add is None:
        raise TypeError(f"{type(parser).__name__} is not a parser of argparse or optparse")
    if key_option is not None:
        add(
            *_list_names(key_option, "--key"),
            dest="key",
            metavar="KEY",
            help="the key shared with the servers: 64 hexadecimal digits, or any text. "
            "Other users of this machine can see it; a key file is safer.",
        )
    if keyfile_option is not None:
        add(
            *_list_names(keyfile_option, "--keyfile"),
            dest="keyfile",
            metavar="FILE",
            help="read the key shared with the servers from FILE",
        )


def _list_names(short: str, long: str) -> list[str]:
    return [short, long] if short else [long]


def key_from_options(opts: object, warn: bool = True) -> bytes:
    """Return the key that the options of `add_key_options` give.

    Args:
        opts: the parsed options, of argparse or optparse.
        warn: whether to log a warning if other users of this machine can read the key.

    Returns:
        The key, or ``b""`` if there is none.

    Raises:
        SpecError: both options were given.
        KeyFileError: the file does not hold a key.
        OSError: the file cannot be read.
    """
    text: str | None = hide(getattr(opts, "key", None))
    path: str | None = getattr(opts, "keyfile", None)
    del opts  # it has the text
    if text is not None and path is not None:
        raise SpecError("a key (-K, --key) and a key file (-k, --keyfile) were both given: leave one out")
    if path is not None:
        return key_from_file(path, warn)
    if text is not None:
        return key_from_text(text, "the command line", warn)
    return b""


def key_from_text(text: str, where: str, warn: bool) -> bytes:
    """Return the key that a text gives; with ``warn``, log that ``where`` is not a safe place for it."""
    text = hide(text)
    if warn:
        logger.warning("other users of this machine may see the key in %s; a key file is safer", where)
    return decode_key(text) if warn else decode_key_quietly(text)


def key_from_file(path: str | os.PathLike[str], warn: bool) -> bytes:
    """Return the key in a file; with ``warn``, warn once of one that other users can read or replace."""
    danger = find_danger(path) if warn else None
    if danger is not None:
        _warn_once(os.path.abspath(os.path.expanduser(os.fsdecode(path))), danger)
    text = read_key_text(path)
    return decode_key(text) if warn else decode_key_quietly(text)


#: The key files that were warned of; a script may connect to hundreds of hosts with one of them.
_warned: set[str] = set()


def _warn_once(file: str, text: str) -> None:
    if file in _warned:
        return
    _warned.add(file)
    warnings.warn(text, KeyFileWarning, stacklevel=_count_our_frames() + 1)


def _count_our_frames() -> int:
    """Return how many frames above this one are ours: the warning names the line of the script."""
    frame: FrameType | None = sys._getframe(1)
    count = 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("easycluster"):
        frame = frame.f_back
        count += 1
    return count - 1
