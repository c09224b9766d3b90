"""Listening sockets of a server, for one address, several, or all of this machine."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Collection, List, Optional, Sequence, Tuple

from easycluster_server._system.masters import own_port

from .port_owner import find_port_owner

if TYPE_CHECKING:
    from typing import Union

    #: Host and port, and for IPv6 two numbers more: as the functions of `socket` take and return it.
    SocketAddress = Tuple[Union[str, int], ...]

#: The errors of a system where IPv6 is known but switched off.
_FAMILY_ERRORS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def listen_on_all(
    bindaddr: Union[str, Sequence[str], None], port: int, disable_ipv6: bool
) -> List[socket.socket]:
    """Open listening sockets.

    Args:
        bindaddr: an address or host name, or several; None means every address of this machine.
        port: the TCP port; 0 lets the system choose one, the same for all.
        disable_ipv6: use IPv4 only.

    Raises:
        OSError: it is not possible to listen on one of the addresses; the text names it.
    """
    names: Sequence[Optional[str]] = (
        [bindaddr] if bindaddr is None or isinstance(bindaddr, str) else list(bindaddr) or [None]
    )
    sockets: List[socket.socket] = []
    try:
        for name in dict.fromkeys(names):
            # With port 0, all addresses have the port that was chosen for the first.
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets += _listen(name, chosen, disable_ipv6, {each.getsockname()[0] for each in sockets})
    except BaseException:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def _listen(
    bindaddr: Optional[str], port: int, disable_ipv6: bool, taken: Collection[str] = ()
) -> List[socket.socket]:
    """Open listening sockets for an address, or for every address of both families, but for those taken."""
    family = socket.AF_INET if disable_ipv6 else socket.AF_UNSPEC
    try:
        found = socket.getaddrinfo(bindaddr, port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(error.errno, f"cannot listen on {bindaddr}: {error.strerror}") from error
    sockets: List[socket.socket] = []
    refused: Optional[OSError] = None
    # IPv6 last: a machine may know its addresses although the kernel has it switched off.
    for number, _, _, _, address in sorted(found, key=lambda entry: entry[0] != socket.AF_INET):
        if address[0] in taken:
            continue
        # With port 0, both families listen on the port that was chosen for the first.
        chosen = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_listen_on(number, (address[0], chosen, *address[2:])))
        except OSError as error:
            refused = error
            if error.errno not in _FAMILY_ERRORS:
                break
    if refused is not None and (not sockets or refused.errno not in _FAMILY_ERRORS):
        for listening in sockets:
            listening.close()
        owner = find_port_owner(port) if refused.errno == errno.EADDRINUSE else None
        reason = f"{refused.strerror} by {owner}" if owner else refused.strerror
        raise OSError(refused.errno, f"cannot listen on {bindaddr or 'port'} {port}: {reason}")
    return sockets


def _listen_on(family: int, address: SocketAddress) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        own_port(listening)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(128)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def format_address(address: SocketAddress) -> str:
    """Return an address as ``host:port``, with an IPv6 address in brackets."""
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
