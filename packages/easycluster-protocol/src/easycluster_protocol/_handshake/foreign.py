"""Names a peer that does not speak our protocol, by its first bytes."""

from __future__ import annotations

#: The first bytes of both ends of EasyCluster 0.x (observed on 0.22.3): a 16-byte message follows.
_OLD_EASYCLUSTER = b"\x01\x00\x00\x00\x10"


def may_be_old_easycluster(data: bytes) -> bool:
    """Whether ``data`` is too short to tell, but could be the beginning of an EasyCluster 0.x."""
    return len(data) < len(_OLD_EASYCLUSTER) and _OLD_EASYCLUSTER.startswith(data)


def name_foreign_peer(data: bytes) -> str:
    """Return a sentence about a peer whose first bytes are not those of a handshake."""
    sample = data[:40]
    if sample.startswith((b"GET ", b"POST", b"HTTP", b"HEAD", b"PUT ")):
        return "the peer speaks HTTP, not the protocol of EasyCluster"
    if sample.startswith(b"SSH-"):
        return "the peer is an ssh server; to connect by ssh, write user@host or add :ssh=yes to the spec"
    if sample.startswith(_OLD_EASYCLUSTER):
        return (
            "the peer is a published EasyCluster (0.x), which speaks another protocol: "
            "install EasyCluster 1 at both ends"
        )
    return f"the peer does not speak the protocol of EasyCluster: it sent {sample!r}"
