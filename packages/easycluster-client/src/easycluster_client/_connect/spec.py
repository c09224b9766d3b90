r"""Connection specs: the text by which a user names a server.

::

    [user@]host[:port][:option=value]...

A ':' ends a value, so that a forgotten or mistyped option is found and never becomes a part of the value
before it. It belongs to a value only where it can mean nothing else: in a drive letter at the beginning
(``kf=C:\x.key``), in a bracketed IPv6 address, and in ``extra`` also within quotes or after a backslash, as
in a shell (``extra=-L "8080:localhost:80"``).

Messages quote the spec, with ``***`` in place of anything that may be a key or a password.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Literal, TypedDict, overload

from easycluster_client._deadlines import check_connect_timeout
from easycluster_client._keep_alive_options import check_seconds
from easycluster_client._tls_options import check_tls
from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol.errors import SpecError
from easycluster_protocol.keys import hide, name_type

from .key_options import key_from_file, key_from_text, logger
from .spec_grammar import MalformedSpec, check_user, quote_spec, split_spec

_SWITCH_VALUES = {
    **dict.fromkeys(("yes", "1", "on", "true"), True),
    **dict.fromkeys(("no", "0", "off", "false"), False),
}


#: What a host may be trusted with; without the option, with everything.
_TRUSTS = ("results",)


class _RequiredParams(TypedDict):
    key: bytes
    host: str
    port: int | None
    enable_compression: bool
    ssh: bool | str
    user: str | None
    rpython: str | None
    extra_args: tuple[str, ...]


class ConnectionParams(_RequiredParams, total=False):
    """The keyword arguments of `Client` that a spec gives."""

    connect_timeout: float
    trust: str
    tls: str
    tls_ca: str
    tls_cert: str
    tls_key: str
    keep_alive_interval: float | None
    keep_alive_timeout: float | None


# Empty custom options come first; mypy cannot know that a Collection is not empty.
@overload
def parse_connection_spec(  # type: ignore[overload-overlap]
    spec: str,
    default_port: int | None = None,
    default_key: bytes | None = b"",
    default_enable_compression: bool = False,
    custom_options: tuple[()] | Literal[False] | None = (),
    warn: bool = True,
) -> ConnectionParams: ...


@overload
def parse_connection_spec(
    spec: str,
    default_port: int | None = None,
    default_key: bytes | None = b"",
    default_enable_compression: bool = False,
    *,
    custom_options: Collection[str] | Literal[True],
    warn: bool = True,
) -> tuple[ConnectionParams, dict[str, str]]: ...


def parse_connection_spec(
    spec: str,
    default_port: int | None = None,
    default_key: bytes | None = b"",
    default_enable_compression: bool = False,
    custom_options: Collection[str] | bool | None = (),
    warn: bool = True,
) -> ConnectionParams | tuple[ConnectionParams, dict[str, str]]:
    """Turn a connection spec into keyword arguments of `Client` and `ThreadedClient`.

    SSH is used if the spec has ``user@`` or the option ``ssh``; the key is then left out. For TCP
    a blank key is no error here, because it may be set later; connecting refuses it.

    Args:
        spec: ``[user@]host[:port][:option=value]...`` with the options

            - ``kf=FILE`` or ``keyfile=FILE``: read the key from a file;
            - ``key=TEXT``: the key itself, as `decode_key` understands it;
            - ``compress=yes`` or ``no``;
            - ``ssh=yes``, ``no``, or the path of the program ``ssh``;
            - ``user=NAME``: the user for SSH; this alone does not turn SSH on;
            - ``rpython=COMMAND``: the Python to run on the server;
            - ``extra=ARGUMENTS``: more arguments for ``ssh``, quoted as in a shell;
            - ``connect_timeout=SECONDS``: how long connecting may take, see `Client`;
            - ``trust=results``: unpickle nothing that could run code here, see `Client`.
            - ``tls=auto``, ``require`` or ``off``; ``tls_ca=FILE``, ``tls_cert=FILE``, ``tls_key=FILE``: the
              encryption of TCP, see `Client`;
            - ``keep_alive_interval=SECONDS`` and ``keep_alive_timeout=SECONDS``, or ``none``: when a silent
              host is asked for a sign of life, and given up, see `Client`.

        default_port: the port of a spec that names none; None means `DEFAULT_PORT` for TCP, and for
            SSH the port that ``ssh`` is configured to use.
        default_key: the key of a spec that gives none.
        default_enable_compression: whether to compress when the spec does not say.
        custom_options: the names of the script's own options, or True to accept any name.
        warn: whether to log a warning about a key that others can read, or that SSH does not need.

    Returns:
        The keyword arguments; with ``custom_options`` a pair of them and the script's own options.

    Raises:
        SpecError: the spec cannot be used; the message quotes it.
        KeyFileError: the key file does not hold a key.
        OSError: the key file cannot be read.
    """
    spec, default_key = hide(spec), hide(default_key)
    if not isinstance(spec, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError(f"a connection spec is a str such as 'user@host', not {name_type(spec)}")
    _check_default_port(default_port)
    custom = _get_custom_names(custom_options)
    where = f"connection spec {quote_spec(spec, custom)}"
    try:
        user, host, port, options = split_spec(str.__str__(spec), custom)
        ssh = _pop_ssh(options, user is not None)
        params = ConnectionParams(
            key=b"",
            host=host,
            port=port,
            enable_compression=_pop_switch(options, "compress", default_enable_compression),
            ssh=ssh,
            user=_pop_user(options, user),
            rpython=_pop_value(options, "rpython"),
            extra_args=_pop_arguments(options, "extra"),
        )
        timeout = _pop_value(options, "connect_timeout")
        if timeout is not None:
            params["connect_timeout"] = _parse_connect_timeout(timeout)
        trust = _pop_trust(options)
        if trust is not None:
            params["trust"] = trust
        _pop_tls(options, params)
        _pop_keep_alive(options, params)
        file, text = _pop_key_source(options)
    except MalformedSpec as error:
        reason, options = str(error), {}
    else:
        if port is None:
            params["port"] = default_port if ssh or default_port is not None else DEFAULT_PORT
        if not ssh:
            params["key"] = _read_key(file, text, default_key or b"", where, warn)
        elif warn and (file is not None or text is not None):
            logger.warning("SSH needs no key, so the one in %s is ignored", where)
        return (params, options) if custom_options else params
    # Raised out here, so that no error which contains a part of the spec becomes its context.
    raise SpecError(f"{reason} (in {where})")


def _check_default_port(port: int | str | None) -> None:
    try:
        int(port or 0)
    except (TypeError, ValueError):
        pass
    else:
        return
    # It may be the key, which no error holds.
    raise TypeError(f"the default port is a number, not {type(port).__name__}: a key goes into default_key=")


def _get_custom_names(custom_options: Collection[str] | bool | None) -> Collection[str] | None:
    """Return the names of the script's own options; None: any name is accepted."""
    if custom_options is True:
        return None
    if isinstance(custom_options, str):  # ("name") is meant as a tuple
        return (custom_options,)
    return frozenset(custom_options or ())


def _pop_value(options: dict[str, str], name: str) -> str | None:
    value = options.pop(name, None)
    if value == "":
        raise MalformedSpec(f"option {name!r} has no value")
    return value


def _pop_switch(options: dict[str, str], name: str, default: bool) -> bool:
    value = options.pop(name, None)
    if value is None:
        return default
    try:
        return _SWITCH_VALUES[value.lower()]
    except KeyError:
        raise MalformedSpec(f"option {name!r} must be yes or no") from None


def _parse_connect_timeout(text: str) -> float:
    try:
        return check_connect_timeout(float(text))
    except ValueError:
        raise MalformedSpec("option 'connect_timeout' must be a number of seconds above 0") from None


def check_trust(trust: str | None) -> str | None:
    """Return the argument ``trust`` of `Client`.

    Raises:
        ValueError: there is no such trust.
    """
    if trust is not None and trust not in _TRUSTS:
        raise SpecError(f"trust must be 'results', or be left out, not {trust!r:.100}")
    return trust


def _pop_trust(options: dict[str, str]) -> str | None:
    value = _pop_value(options, "trust")
    if value is not None and value not in _TRUSTS:
        raise MalformedSpec("option 'trust' must be results, or be left out")
    return value


def _pop_tls(options: dict[str, str], params: ConnectionParams) -> None:
    """Move the options of TLS to the parameters."""
    mode, ca, cert, key = (_pop_value(options, name) for name in ("tls", "tls_ca", "tls_cert", "tls_key"))
    try:
        check_tls(mode or "auto", ca, cert, key)
    except ValueError as error:
        raise MalformedSpec(str(error)) from None
    if mode is not None:
        params["tls"] = mode
    if ca is not None:
        params["tls_ca"] = ca
    if cert is not None:
        params["tls_cert"] = cert
    if key is not None:
        params["tls_key"] = key


def _pop_keep_alive(options: dict[str, str], params: ConnectionParams) -> None:
    """Move the options of keep-alive to the parameters."""
    interval, timeout = (_pop_value(options, f"keep_alive_{name}") for name in ("interval", "timeout"))
    if interval is not None:
        params["keep_alive_interval"] = _parse_keep_alive("keep_alive_interval", interval)
    if timeout is not None:
        params["keep_alive_timeout"] = _parse_keep_alive("keep_alive_timeout", timeout)


def _parse_keep_alive(name: str, text: str) -> float | None:
    try:
        return None if text.lower() == "none" else check_seconds(name, float(text))
    except ValueError:
        raise MalformedSpec(f"option {name!r} must be a number of seconds above 0, or none") from None


def _pop_ssh(options: dict[str, str], default: bool) -> bool | str:
    value = _pop_value(options, "ssh")
    if value is None:
        return default
    if value.startswith("-"):
        raise MalformedSpec("option 'ssh' must be yes, no or the path of a program")
    return _SWITCH_VALUES.get(value.lower(), value)


def _pop_user(options: dict[str, str], before_host: str | None) -> str | None:
    value = options.pop("user", None)
    if value is None:
        return before_host
    if before_host is not None:
        raise MalformedSpec("the user is given twice, before the '@' and by option 'user'")
    check_user(value)
    return value


def _pop_arguments(options: dict[str, str], name: str) -> tuple[str, ...]:
    # This raises no ValueError: `split_spec` has checked that every quote is closed.
    return tuple(shlex.split(options.pop(name, "")))


def _pop_key_source(options: dict[str, str]) -> tuple[str | None, str | None]:
    """Return the key file and the text of the key; at least one of them is None."""
    file, text = _pop_value(options, "kf"), options.pop("key", None)
    if file is not None and text is not None:
        raise MalformedSpec("the options 'kf' and 'key' both give a key")
    return file, text


def _read_key(file: str | None, text: str | None, default: bytes, where: str, warn: bool) -> bytes:
    if file is not None:
        try:
            return key_from_file(file, warn)
        except OSError as error:
            error.strerror = f"{error.strerror} (the key file in {where})"
            raise
    if text is not None:
        return key_from_text(text, where, warn)
    return default
