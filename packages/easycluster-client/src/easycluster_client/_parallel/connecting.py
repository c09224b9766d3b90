"""Connecting to many hosts at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from easycluster_client._api.client import Client
from easycluster_client._connect.spec_grammar import quote_spec
from easycluster_client._deadlines import check_timeout
from easycluster_protocol.keys import hide

from .connector import Connector
from .hosts import Hosts
from .progress import Progress


def connect_all(
    specs: Iterable[str],
    *,
    clientclass: type[Client] | None = None,
    default_key: bytes | None = None,
    width: int = 8,
    timeout: float | None = None,
    progress: bool | None = None,
) -> Hosts:
    """Connect to many hosts at once.

    Args:
        specs: the connection specs, see `parse_connection_spec`; each is given once.
        clientclass: the class of the clients; None means `Client`.
        default_key: the key of specs that give none.
        width: the most connections that are made at once through the same first hop: a jump host, or a host
            that several specs name. sshd's default allows 10 that have not logged in yet.
        timeout: how long connecting all of them may take, in seconds; hosts that are not connected by then
            are among the errors. None: each spec has its own ``connect_timeout``, 30 seconds by default.
        progress: whether to print a line to standard error every few seconds; None: if that is a terminal.

    Returns:
        The clients by their specs, and in ``errors`` the errors of the hosts that could not be connected.

    Raises:
        TypeError: ``specs`` is one text, or an argument is of a wrong type.
        ValueError: a spec is given twice, or an argument is out of range.
    """
    specs, default_key = hide(specs), hide(default_key)  # one spec in place of a list is a mistake that shows
    texts = _check_specs(specs)
    if not isinstance(width, int) or isinstance(width, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"width must be a number of connections, not {width!r}")
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    check_timeout(timeout)

    def make(spec: str) -> Client:
        # Scripts may override this, and do with the spec what is done with a str.
        return (clientclass or Client).from_spec(str.__str__(spec), default_key=default_key)

    hidden = [hide(spec) for spec in texts]
    connector = Connector(hidden, default_key, make, width, timeout, Progress(progress, len(texts)))
    try:
        connector.start()
        connector.wait()
        return connector.take_hosts(texts)
    except BaseException:
        connector.interrupt()
        raise


def _check_specs(specs: Iterable[str]) -> list[str]:
    if isinstance(specs, (str, bytes)):
        raise TypeError(f"connect_all takes a list of specs, as [{_quote(specs)}], and not a single one")
    texts = list(specs)
    twice = [spec for spec, count in Counter(texts).items() if count > 1]
    if twice:
        raise ValueError(
            f"connect_all was given {quote_spec(twice[0], ())} twice, and its result has one client for each:"
            " connect further ones by Client.from_spec"
        )
    return texts


def _quote(spec: str | bytes) -> str:
    return quote_spec(spec, ()) if isinstance(spec, str) else repr(hide(spec))
