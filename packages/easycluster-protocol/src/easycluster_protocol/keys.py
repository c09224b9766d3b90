"""Shared keys: making them, reading them, and keeping them in files that only their owner can read.

A key is `KEY_SIZE` random bytes. People see it as text: 64 hexadecimal digits in a key file, or
a password of their own. No message, repr or log of this module ever contains a key or its text, and no
variable of our functions holds one in a type that shows it: stack traces with local variables (of rich,
pytest -l, error reporters) print the `repr` of each.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, overload

from .errors import KeyFileError

if TYPE_CHECKING:
    from typing import SupportsIndex, TypeVar  # novm

    from typing_extensions import Self

    T = TypeVar("T")

#: Bytes of a key: the size of an HMAC-SHA256; a longer key would not be stronger (RFC 2104).
KEY_SIZE = 32

#: The most bytes that a key file may have. A key takes 65; a larger file was named by mistake.
MAX_KEY_FILE = 4096

#: A text with fewer characters is soon guessed by those who have seen how a connection was made.
_SHORT_TEXT = 6

#: Iterations of PBKDF2 for a key given as text: about 50 ms on a desktop computer of 2023, too short to be
#: noticed once per connection, but enough to slow guessing down. Both ends must use the same number.
_PBKDF2_ITERATIONS = 200_000

#: Both ends must derive the same key from the text alone, so the salt cannot be random.
_SALT = b"EasyCluster key from text, 1"

#: Where warnings about keys go, those of masters too.
_LOGGER = "easycluster.spec"

_HOW_TO_MAKE_ONE = "decode_key() makes one from text, read_key_file() reads one from a file"

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")

#: O_EXCL already refuses a symbolic link; O_NOFOLLOW says so where O_EXCL is weak (old NFS).
_CREATE_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


class Key(bytes):
    """The bytes of a key, which nothing prints by accident.

    It is `bytes` in every other way: it equals the same plain bytes, and has the same hash. ``bytes(key)``
    and ``key.hex()`` are how a script shows it on purpose.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<Key: not shown>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> Key: ...

    def __getitem__(self, index: SupportsIndex | slice) -> int | Key:
        """Return a byte, or a part that is hidden as well: printers that shorten long values slice them."""
        part = super().__getitem__(index)
        return Key(part) if isinstance(part, bytes) else part


class HiddenText(str):
    """A text that is or contains a key, which nothing prints by accident.

    ``str.__str__(text)`` is the text.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Make one of a text, hidden or not: ``str`` would ask a hidden one for what it shows."""
        return super().__new__(cls, str.__str__(text))

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return format("***", format_spec)

    def __getitem__(self, index: SupportsIndex | slice) -> HiddenText:
        """Return a part, hidden as well."""
        return HiddenText(super().__getitem__(index))


def hide(value: T) -> T:
    """Return a text or bytes as a type that does not show them, and anything else as it is."""
    if isinstance(value, str):
        return HiddenText(value)  # type: ignore[return-value]
    return Key(value) if isinstance(value, bytes) else value  # type: ignore[return-value]


def name_type(value: object) -> str:
    """Return the name of a value's type, as it was before `hide`."""
    if isinstance(value, Key):
        return "bytes"
    return "str" if isinstance(value, HiddenText) else type(value).__name__


class KeyFileWarning(UserWarning):
    """Other users can read or replace a key file; the message says how to mend that."""


def generate_key() -> Key:
    """Return a new random key of `KEY_SIZE` bytes."""
    return Key(os.urandom(KEY_SIZE))


def decode_key(text: str | bytes) -> Key:
    """Return the key that a text stands for; whitespace around it does not count.

    64 hexadecimal digits are the key itself. Any other text is stretched to a key by
    PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2); that includes the 32 digits in the key files of
    published EasyCluster, which therefore still work; a short one logs a warning. A blank text gives ``b""``,
    which is refused when a key is needed, see `check_key`.

    PBKDF2 only makes guessing slower: its salt is the same everywhere. An attacker who has recorded the
    beginning of one connection, or to whose server a client has connected, can try texts for as long as he
    likes, some thousand a second on a graphics card. On such networks only a key of `generate_key` is safe.

    Args:
        text: the text that the user typed or that a file contains (UTF-8); or a key of `generate_key`, which
            is returned as it is.

    Returns:
        `KEY_SIZE` bytes, or none for a blank text.

    Raises:
        KeyFileError: the text has a character that cannot be encoded (a lone surrogate).
        TypeError: it is neither str nor bytes.
    """
    text = Key(text) if isinstance(text, bytearray) else hide(text)
    key = decode_key_quietly(text)
    if key and len(text.strip()) < _SHORT_TEXT:
        import logging  # few keys are texts, and fewer are short

        logging.getLogger(_LOGGER).warning(
            "a key of fewer than %d characters is easily guessed; `easycluster -g FILE` makes a good one",
            _SHORT_TEXT,
        )
    return key


def decode_key_quietly(text: str | bytes) -> Key:
    """Return the key that a text stands for, as `decode_key` does, and log nothing."""
    text = Key(text) if isinstance(text, bytearray) else hide(text)
    if not isinstance(text, str):
        if len(text) == KEY_SIZE and not is_text(text):
            return Key(text)
        text = HiddenText(str(text, "utf-8", "surrogateescape"))
    text = HiddenText(text.strip())
    if len(text) == 2 * KEY_SIZE and _HEX_DIGITS.issuperset(text):
        return Key(bytes.fromhex(text))
    encoded = _encode(text)
    return _stretch(encoded) if encoded else encoded


def is_text(key: bytes) -> bool:
    """Return whether bytes are a text; a key of `generate_key` is none, but for one in a hundred million."""
    try:
        text = HiddenText(key.decode("utf-8"))
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _encode(text: HiddenText) -> Key:
    """Return the bytes of a key's text; bytes of a command line that are not UTF-8 come back unchanged."""
    try:
        return Key(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        pass
    # Raised out here, because the UnicodeEncodeError would be its context, and that has the text.
    raise KeyFileError(
        "the key contains a character that cannot be encoded; `easycluster -g FILE` makes a good one"
    )


# The cache is for masters that connect to hundreds of hosts with one password.
@functools.lru_cache(maxsize=16)
def _stretch(text: Key) -> Key:
    import hashlib  # here because every definitions module imports these functions, and few call them

    return Key(hashlib.pbkdf2_hmac("sha256", text, _SALT, _PBKDF2_ITERATIONS, KEY_SIZE))


def check_key(key: object, where: str) -> None:
    """Make sure that a key can be used.

    Args:
        key: the key that is to be used.
        where: what it is needed for, in the words of the message: a connection spec, or "the server".

    Raises:
        KeyFileError: it is blank, has a wrong size, or is not bytes.
    """
    key = hide(key)
    if not key:
        problem = f"{where} needs a key, and none or a blank one was given"
    elif not isinstance(key, bytes):
        problem = f"the key for {where} is {name_type(key)}, not bytes ({_HOW_TO_MAKE_ONE})"
    elif len(key) != KEY_SIZE:
        problem = f"the key for {where} has {len(key)} bytes, not {KEY_SIZE} ({_HOW_TO_MAKE_ONE})"
    else:
        return
    raise KeyFileError(
        problem + "; name one with -k FILE or -K KEY, or with kf=FILE or key=KEY in the connection spec"
    )


def read_key_file(path: str | bytes | os.PathLike[str]) -> Key:
    """Return the key in a file that `write_key_file` or a user with an editor wrote; see `decode_key`.

    The key is the first line that is not blank; notes may follow.

    Args:
        path: the file; may be a pipe, as in ``-k <(pass show cluster)``.

    Raises:
        KeyFileError: the file is blank, is not UTF-8 text or has more than `MAX_KEY_FILE` bytes.
        OSError: it cannot be read, for example because it does not exist.
    """
    return decode_key(read_key_text(path))


def read_key_text(path: str | bytes | os.PathLike[str]) -> HiddenText:
    """Return the text of the key in a file, see `read_key_file`."""
    name = decode_path(path)
    with open(name, "rb") as stream:
        content = Key(stream.read(MAX_KEY_FILE + 1))
    if len(content) > MAX_KEY_FILE:
        raise KeyFileError(f"{name!r} is not a key file: it has more than {MAX_KEY_FILE} bytes")
    # -sig: Windows editors put a byte order mark before the text. "replace" rather than an error,
    # because a UnicodeDecodeError has the content in it. A NUL means UTF-16, or no text at all.
    text = HiddenText(content.decode("utf-8-sig", "replace"))
    if "\ufffd" in text or "\0" in text:
        raise KeyFileError(
            f"{name!r} is not a key file: it is not text in UTF-8 (`easycluster -g FILE` makes one)"
        )
    first_line = HiddenText(text.strip().partition("\n")[0].strip())
    if not first_line:
        raise KeyFileError(f"the key file {name!r} is blank (`easycluster -g FILE` makes one)")
    return first_line


def write_key_file(path: str | bytes | os.PathLike[str], key: bytes, overwrite: bool = False) -> bool:
    """Write a key to a new file that only the current user can read and write.

    On Windows it has the permissions of the folder. When overwriting, a complete new file takes
    the place of the old one: a reader sees one or the other, and a symbolic link at `path` is
    replaced itself, never followed.

    Args:
        path: the file.
        key: `KEY_SIZE` bytes.
        overwrite: replace a file that exists.

    Returns:
        True, or False if the file exists and was left as it is.

    Raises:
        KeyFileError: `key` has a wrong size, or is not bytes.
        OSError: the file cannot be written; nothing is left behind.
    """
    key = Key(key) if isinstance(key, bytearray) else hide(key)
    if not isinstance(key, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        path = hide(path)  # it may be the key
        raise KeyFileError(f"the key to be written is {name_type(key)}, not bytes: write_key_file(path, key)")
    name = decode_path(path)
    if len(key) != KEY_SIZE:
        raise KeyFileError(
            f"a key of {len(key)} bytes cannot be written to {name!r}; generate_key() makes one of {KEY_SIZE}"
        )
    content = Key(key.hex().encode("ascii") + b"\n")
    if overwrite:
        _replace(name, content)
        return True
    try:
        _create(name, content)
    except FileExistsError:
        return False
    return True


def _replace(name: str, content: Key) -> None:
    # A name that cannot be guessed, in the same folder because a rename cannot leave the file system.
    temporary = os.path.join(os.path.dirname(name), f".easycluster-{os.urandom(8).hex()}.tmp")
    _create(temporary, content)
    try:
        os.replace(temporary, name)
    except BaseException:
        os.unlink(temporary)
        raise


def _create(name: str, content: Key) -> None:
    """Write a file that must not exist; remove it again if that fails halfway."""
    descriptor = os.open(name, _CREATE_FLAGS, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            if hasattr(os, "fchmod"):
                os.fchmod(
                    stream.fileno(), 0o600
                )  # an unusual umask may have taken away our own right to read
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        os.unlink(name)
        raise


def decode_path(path: str | bytes | os.PathLike[str]) -> str:
    """Return a path as str, with the home folder in place of ``~``.

    Raises:
        KeyFileError: no file can have this path; `open` would not raise an OSError for it.
    """
    name = os.path.expanduser(os.fsdecode(path))
    if not name:
        raise KeyFileError("the name of the key file is blank")
    try:
        possible = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise KeyFileError(f"{name!r} cannot be the name of a key file")
    return name
