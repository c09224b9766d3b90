"""Who may connect: the holders of some keys, from some networks."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Iterable, List, Optional, Sequence, Tuple, Union

from easycluster_protocol.keys import Key, check_key, hide

if TYPE_CHECKING:
    Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


#: One key, or several that are valid at the same time.
Keys = Union[bytes, Sequence[bytes]]


def hide_keys(key: Keys) -> Sequence[bytes]:
    """Return one key, or several, as a sequence of keys that nothing prints; a wrong value stays as it is."""
    several: Sequence[bytes]
    several = key if isinstance(key, (list, tuple)) else (key,)  # pyright: ignore[reportAssignmentType]
    return [*map(hide, several or (b"",))]  # an empty sequence is refused as a blank key is


class Access:
    """Who may connect. An object never changes, so a server may take another one at any time.

    Args:
        key: the key, or a sequence of keys that are valid at the same time.
        allow: networks from which connections are accepted; none means all.
        deny: networks from which none are, even if ``allow`` has them.

    Attributes:
        keys: the keys.

    Raises:
        KeyFileError: there is no key, or one of them is none.
        ValueError: a network cannot be read.
    """

    def __init__(self, key: Keys, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        keys = hide_keys(key)
        for each in keys:
            check_key(each, "the server")
        self.keys: Tuple[Key, ...] = tuple(map(Key, keys))
        self._allow = _read(allow)
        self._deny = _read(deny)

    def find_objection(self, host: str) -> Optional[str]:
        """Return why no connection from an address is accepted; None: it is.

        Args:
            host: the address, as the functions of `socket` give it.
        """
        address = ipaddress.ip_address(host.partition("%")[0])
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._deny):
            return "in a denied network"
        if self._allow and not any(address in network for network in self._allow):
            return "not in an allowed network"
        return None


def _read(networks: Iterable[str]) -> List[Network]:
    texts = [networks] if isinstance(networks, str) else networks
    return [ipaddress.ip_network(network, strict=False) for network in texts]
