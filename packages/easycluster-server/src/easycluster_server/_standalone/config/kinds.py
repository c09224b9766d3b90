"""Kinds of settings: how their values are read from options and from the configuration file, and written."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import ClassVar, Dict, List, Optional, Sequence, Union

from easycluster_protocol.keys import hide

#: The value of a setting.
Setting = Union[None, bool, int, str, List[str]]

_YES = ("yes", "true", "on", "1")
_NO = ("no", "false", "off", "0")


class Kind:
    """One kind of value. This one is any text that is not blank.

    Attributes:
        action: what argparse does with the option.
        is_secret: it names a file that nobody but the server may read.
    """

    action = "store"
    is_secret = False

    def read(self, text: str) -> Setting:
        """Return the value that a text stands for.

        Raises:
            ValueError: it stands for none; the message does not say where the text is from.
        """
        text = text.strip()
        if not text:
            raise ValueError("the value is blank")
        return text

    def read_option(self, given: Setting) -> Setting:
        """Return the value of an option, as argparse has collected it.

        Raises:
            ValueError: as in `read`.
        """
        return self.read(given) if isinstance(given, str) else given

    def write(self, value: Setting) -> str:
        """Return the text from which `read` makes this value."""
        return str(value)

    def start_at(self, folder: str, value: Setting) -> Setting:
        """Return the value as it is read in a folder: the paths of files start there."""
        return value


class Secret(Kind):
    """The text of a key. A blank one is read too: the error of a missing key says what to do."""

    def read(self, text: str) -> Setting:
        """Return the text, which nothing prints by accident."""
        return hide(text)


class Path(Kind):
    """The path of a file; ``~`` is the home folder."""

    def read(self, text: str) -> Setting:
        """Return the path, with the home folder in its place."""
        return os.path.expanduser(str(super().read(text)))

    def start_at(self, folder: str, value: Setting) -> Setting:
        """Return the path; one that is relative starts at the folder."""
        return os.path.join(folder, str(value))


class SecretFile(Path):
    """The path of a file that nobody but the server may read, as that of a key."""

    is_secret = True


class Number(Kind):
    """A whole number.

    Args:
        lowest: the least that it may be.
        highest: the most, or None.
        meaning: what it is, as in "a TCP port, a number from 0 to 65535".
    """

    def __init__(self, lowest: int, highest: Optional[int], meaning: str) -> None:
        self._lowest = lowest
        self._highest = highest
        self._meaning = meaning

    def read(self, text: str) -> Setting:
        """Return the number."""
        try:
            value = int(text)
            if value < self._lowest or (self._highest is not None and value > self._highest):
                raise ValueError
        except ValueError:
            raise ValueError(f"{text.strip()} is not {self._meaning}") from None
        return value


class Size(Kind):
    """A number of bytes, as 512M."""

    _UNITS: ClassVar[Dict[str, int]] = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

    def read(self, text: str) -> Setting:
        """Return the number of bytes."""
        found = re.fullmatch(r"([0-9]{1,15})([KMGT]?)", str(super().read(text)).upper())
        if found is None:
            raise ValueError(f"{text.strip()!r} is not a size, a number of bytes or as 512M, 2G")
        return int(found.group(1)) * self._UNITS[found.group(2)]


class Flag(Kind):
    """Yes or no; on the command line, its option alone means yes."""

    action = "store_true"

    def read(self, text: str) -> Setting:
        """Return whether it says yes."""
        word = text.strip().lower()
        if word not in _YES + _NO:
            raise ValueError(f"{text.strip()!r} is neither yes nor no")
        return word in _YES

    def write(self, value: Setting) -> str:
        """Return "yes" or "no"."""
        return "yes" if value else "no"


class Count(Number):
    """A number that an option adds one to each time that it is given."""

    action = "count"

    def __init__(self) -> None:
        super().__init__(0, None, "a number, 0 or more")


class Choice(Kind):
    """One of several words.

    Args:
        words: those that it may be.
        meaning: what they are, as in "server class".
    """

    def __init__(self, words: Sequence[str], meaning: str) -> None:
        self.words = tuple(words)
        self._meaning = meaning

    def read(self, text: str) -> Setting:
        """Return the word."""
        word = str(super().read(text))
        if word not in self.words:
            known = " and ".join(filter(None, (", ".join(self.words[:-1]), self.words[-1])))
            raise ValueError(f"there is no {self._meaning} {word!r}; there are {known}")
        return word


class Network(Kind):
    """A network of IPv4 or IPv6, as 192.0.2.0/24, or one address."""

    def read(self, text: str) -> Setting:
        """Return the network as it was written."""
        text = str(super().read(text))
        ipaddress.ip_network(text, strict=False)
        return text


class Several(Kind):
    """Any number of values: an option that may be given more than once; in the file, a list with commas.

    Args:
        each: the kind of each; its values are texts.
        may_be_blank: whether there may be none in the file.
    """

    action = "append"

    def __init__(self, each: Kind, may_be_blank: bool = True) -> None:
        self._each = each
        self.is_secret = each.is_secret
        self._may_be_blank = may_be_blank

    def read(self, text: str) -> Setting:
        """Return the list."""
        if not text.strip() and not self._may_be_blank:
            raise ValueError("the value is blank")
        return [str(self._each.read(part)) for part in text.replace("\n", ",").split(",") if part.strip()]

    def read_option(self, given: Setting) -> Setting:
        """Return the list, of which each option has brought one value."""
        assert isinstance(given, list)
        return [str(self._each.read(text)) for text in given]

    def write(self, value: Setting) -> str:
        """Return the list with commas."""
        assert isinstance(value, list)
        return ", ".join(value)

    def start_at(self, folder: str, value: Setting) -> Setting:
        """Return the list, each of its values as it is read in the folder."""
        assert isinstance(value, list)
        return [str(self._each.start_at(folder, each)) for each in value]
