"""Connecting to an address, in the way that it asks for."""

from __future__ import annotations

import re

from easycluster_client._address import Address, format_peername
from easycluster_protocol.errors import ConnectError
from easycluster_server._system.masters import get_limit, is_out_of_descriptors, make_room

from .by_ssh import connect_by_ssh
from .connected import OpenConnection
from .spec_grammar import quote_spec
from .tcp import connect_tcp

#: What a spec may have and no host name; ssh itself understands ``user@host`` and ``ssh://user@host:port``.
_SPEC = re.compile(r"[@=\[]|\A[^:]*:[^:]*\Z")
_SPEC_FOR_SSH = re.compile(r":\w+=")


def connect(address: Address) -> OpenConnection:
    """Connect to ``address``; on return the handshake is done.

    Raises:
        ConnectError: the connection could not be made; the message names the server and the reason.
        KeyFileError: there is no key, and SSH is not to be used.
    """
    if isinstance(address.port, int) and not 0 <= address.port <= 65535:  # 0 is the default
        name = format_peername(address.host, address.port)
        raise ConnectError(f"cannot connect to {name}: a port is a number from 1 to 65535")
    if _is_spec(address):
        spec = quote_spec(address.host, ())
        raise ConnectError(
            f"cannot connect to {spec}: this is a connection spec, not the name of a host; write"
            f" Client.from_spec({spec})"
        )
    make_room()
    try:
        return connect_by_ssh(address) if address.uses_ssh else connect_tcp(address)
    except OSError as error:
        if is_out_of_descriptors(error):
            raise ConnectError(
                f"cannot connect to {address.peername}: this process has {get_limit()} files and connections"
                " open, which is its limit; close some, or raise the hard limit (ulimit -Hn)"
            ) from error
        raise


def _is_spec(address: Address) -> bool:
    return (_SPEC_FOR_SSH if address.uses_ssh else _SPEC).search(address.host) is not None
