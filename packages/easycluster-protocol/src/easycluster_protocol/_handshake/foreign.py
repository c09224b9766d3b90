"""Who it is that does not speak our protocol."""

from __future__ import annotations

#: How both ends of EasyCluster 0.x begin (observed on 0.22.3): a 16-byte message follows.
_PUBLISHED = b"\x01\x00\x00\x00\x10"


def may_be_published(data: bytes) -> bool:
    """Whether so few bytes came that the next ones may show an EasyCluster 0.x."""
    return len(data) < len(_PUBLISHED) and _PUBLISHED.startswith(data)


def name_stranger(data: bytes) -> str:
    """Say what a peer is that does not begin as ours does."""
    sample = bytes(data[:40])
    if sample.startswith((b"GET ", b"POST", b"HTTP", b"HEAD", b"PUT ")):
        return "the peer speaks HTTP, not the protocol of EasyCluster"
    if sample.startswith(b"SSH-"):
        return "the peer is an ssh server; to connect by ssh, write user@host or add :ssh=yes to the spec"
    if sample.startswith(_PUBLISHED):
        return (
            "the peer is a published EasyCluster (0.x), which speaks another protocol: "
            "install EasyCluster 1 at both ends"
        )
    return f"the peer does not speak the protocol of EasyCluster: it sent {sample!r}"
