"""The parts of a connection spec, and its text in messages; for the grammar see `spec`."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Collection
from typing import NamedTuple

from easycluster_protocol.keys import hide

#: The options that every spec may have.
OPTIONS = frozenset(
    [
        "kf",
        "keyfile",
        "key",
        "compress",
        "ssh",
        "user",
        "rpython",
        "extra",
        "connect_timeout",
        "trust",
        "tls",
        "tls_ca",
        "tls_cert",
        "tls_key",
        "keep_alive_interval",
        "keep_alive_timeout",
    ]
)

#: The signs that names may contain besides letters and digits: none that a shell or ``ssh`` interprets.
_HOST_SIGNS = ".-_"
_USER_SIGNS = ".-_+@%#="
#: The Unicode categories of letters, of the marks on them, and of digits.
_LETTER_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})

_HEAD = re.compile(r"(?:(?P<user>[^:\[\]]*)@)?(?:\[(?P<ipv6>[^\]]*)\]|(?P<host>[^:\[\]@]*))")
_PIECE = re.compile(r":([^:]*)")
_NAME = re.compile(r":([^:=]*)=")
_VALUE = re.compile(r"(?:[A-Za-z]:(?=[\\/]))?(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^:])*")
_SHELL_VALUE = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^:'"\\])*""")
_CUSTOM_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ZONE = re.compile(r"[A-Za-z0-9_.-]+")
_BARE_IPV6 = re.compile(
    r"(?:[^:=@]*@)?(?P<address>[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)(?:%[\w.-]*)?(?::[^:=]*=|\Z)"
)
_PASSWORD = re.compile(r"\A([^:=@\[]*:)[^=]*@")
_SECRET = re.compile(r"key|pass|pwd|secret|token", re.IGNORECASE)


class MalformedSpec(Exception):
    """A spec cannot be used; `parse_connection_spec` adds the spec and raises a `SpecError`."""


class SpecParts(NamedTuple):
    """The parts of a spec, with their characters checked; the values of the options are not checked yet."""

    user: str | None
    host: str
    port: int | None
    #: The values by name; ``keyfile`` is called ``kf``.
    options: dict[str, str]


def split_spec(spec: str, custom: Collection[str] | None) -> SpecParts:
    """Return the parts of a spec.

    Args:
        spec: the text.
        custom: the names of options besides `OPTIONS`; None: any name is accepted.

    Raises:
        MalformedSpec: the spec does not follow the grammar, or has parts that no honest user writes.
    """
    if _CONTROL.search(spec):
        raise MalformedSpec("it contains a control character")
    bare = _BARE_IPV6.match(spec)
    if bare and ("::" in bare["address"] or _is_ipv6(bare["address"])):
        raise MalformedSpec(f"an IPv6 address must be in brackets, as in [{bare['address']}]")
    head = _HEAD.match(spec)
    assert head is not None, "every part of the pattern may be empty"
    rest = spec[head.end() :]
    if rest and not rest.startswith(":"):
        raise MalformedSpec(_explain_missing_colon(head, rest))
    user, host = head["user"], head["host"]
    if user is not None:
        check_user(user)
        if "@" in user:
            raise MalformedSpec(
                "there is more than one '@'; write host:ssh=yes:user=NAME for such a user name"
            )
    if host is None:
        host = head["ipv6"]
        if not _is_ipv6(host):
            raise MalformedSpec("the text in brackets is not an IPv6 address")
    else:
        _check_host(host)
    port = None
    first = _PIECE.match(rest)
    if first and "=" not in first[1]:
        port = _parse_port(first[1])
        rest = rest[first.end() :]
    return SpecParts(user, host, port, _parse_options(rest, custom))


def _explain_missing_colon(head: re.Match[str], rest: str) -> str:
    if head["ipv6"] is not None:
        return f"only a ':' can follow the ']', not {rest[0]!r}"
    if rest.startswith("[") and not head["host"]:
        return "the '[' is never closed"
    return f"the host name contains {rest[0]!r}"


def _parse_port(text: str) -> int:
    if "@" in text:  # the message must not quote it: it is a password
        raise MalformedSpec("there is no place for a password before the '@'")
    if not re.fullmatch("[0-9]+", text):
        raise MalformedSpec(f"{text!r} after the host is neither a port nor an option of the form name=value")
    # The length first, because int() refuses thousands of digits with an error of its own.
    if len(text) > 5 or not 1 <= int(text) <= 65535:
        raise MalformedSpec(f"port {text} is not between 1 and 65535")
    return int(text)


def _parse_options(text: str, custom: Collection[str] | None) -> dict[str, str]:
    """Return the options in ``:name=value:name=value``; ``keyfile`` is called ``kf``."""
    options: dict[str, str] = {}
    at, written = 0, ""
    while at < len(text):
        found = _NAME.match(text, at)
        if not found:
            raise MalformedSpec(_explain_malformed_option(text, at, written))
        written = found[1]
        name = "kf" if written == "keyfile" else written
        _check_option_name(name, custom)
        if name in options:
            raise MalformedSpec(f"option {written!r} is given twice")
        value = (_SHELL_VALUE if name == "extra" else _VALUE).match(text, found.end())
        assert value is not None, "every part of the pattern may be empty"
        at = value.end()
        if at < len(text) and text[at] != ":":
            raise MalformedSpec(f"in option {written!r} a quote is never closed")
        options[name] = hide(value[0]) if name == "key" else value[0]
    return options


def _explain_malformed_option(text: str, at: int, previous: str) -> str:
    if _SECRET.search(previous):  # the message must not quote the text: it may be a part of the key
        return (
            f"the text after option {previous!r} is not name=value (a key with a ':' has to be in a key file)"
        )
    piece = _PIECE.match(text, at)
    return f"malformed option {piece[1] if piece else ''!r}: it must be name=value"


def _check_option_name(name: str, custom: Collection[str] | None) -> None:
    if name in OPTIONS:
        return
    if custom is None:
        if not _CUSTOM_NAME.fullmatch(name):
            raise MalformedSpec(f"malformed option: {name!r} is no name")
    elif name not in custom:
        known = ", ".join(sorted(OPTIONS | frozenset(custom)))
        raise MalformedSpec(f"unknown option {name!r}; there are {known}")


def check_user(user: str) -> None:
    """Make sure that a user name can be given to ``ssh``.

    Raises:
        MalformedSpec: it cannot.
    """
    if not user:
        raise MalformedSpec("the user name is blank")
    if user.startswith("-"):
        raise MalformedSpec("the user name begins with '-'")
    domain, backslash, name = user.partition("\\")
    if backslash and not (domain and name):
        raise MalformedSpec("there is nothing on one side of the backslash of the user name")
    _check_characters("user name", domain + name, _USER_SIGNS)


def _check_host(host: str) -> None:
    if not host:
        raise MalformedSpec("the host name is blank")
    if host.startswith("-"):
        raise MalformedSpec("the host name begins with '-'")
    _check_characters("host name", host, _HOST_SIGNS)
    # Looking up such a name would fail with a UnicodeError, which callers do not expect.
    labels = host[:-1].split(".") if host.endswith(".") else host.split(".")
    if len(host) > 253 or not all(1 <= len(label) <= 63 for label in labels):
        raise MalformedSpec("the host name, or a part of it between dots, is blank or too long")
    if not host.isascii():
        try:
            host.encode("idna")
        except UnicodeError:
            raise MalformedSpec("the host name is not an internationalized domain name") from None


def _check_characters(label: str, text: str, signs: str) -> None:
    # Also the normalized form, which is looked up: normalizing may turn a letter into signs.
    for character in text + unicodedata.normalize("NFKC", text):
        if character.isascii():
            allowed = character.isalnum() or character in signs
        else:
            allowed = unicodedata.category(character) in _LETTER_CATEGORIES
        if not allowed:
            raise MalformedSpec(f"the {label} contains {character!r}")


def _is_ipv6(text: str) -> bool:
    address, percent, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not percent or _ZONE.fullmatch(zone) is not None


def quote_spec(spec: str, custom: Collection[str] | None) -> str:
    """Return a spec as messages show it: without keys and passwords, and harmless on a terminal.

    A key is assumed to end at the next known option: a ':' that the user wrongly put into the key must not
    reveal the rest of it.
    """
    spec = _PASSWORD.sub(r"\1***@", str.__str__(spec))  # it may be a `HiddenText`
    names = "|".join(re.escape(name) for name in OPTIONS.union(custom or ()))
    next_option = re.compile(f":(?:{names})=")
    shown, at = "", 0
    for found in re.finditer(r"(?:\A|:)([^:=]*)=", spec):
        if found.start() < at or found[1] in {"keyfile", "tls_key"} or not _SECRET.search(found[1]):
            continue
        following = next_option.search(spec, found.end())
        shown += spec[at : found.end()] + "***"
        at = following.start() if following else len(spec)
    shown += spec[at:]
    return f"'{shown}'" if shown.isprintable() else ascii(shown)
