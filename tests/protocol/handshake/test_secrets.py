"""The secrets of a keyed connection, compared with RFC 5869 and with the documentation alone."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import PROOF, WELCOME, Hello
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol._handshake.secrets import Secrets, derive_key_id, expand
from easycluster_protocol._handshake.server import ServerHandshake
from helpers.handshakes import packet, run
from helpers.pair import KEY, OTHER_KEY, SESSION_NAME


def test_key_schedule_is_hkdf() -> None:
    """Proofs and keys are what HKDF (RFC 5869), written down here again, makes of key, nonces and packets."""

    def expand(label: str) -> bytes:
        return hmac.new(secret, label.encode() + opening + b"\1", "sha256").digest()

    client, server = (
        ClientHandshake(KEY, nonce=b"c" * 32),
        ServerHandshake(KEY, SESSION_NAME, nonce=b"s" * 32),
    )
    hello, challenge, proof, welcome = (data for _, data in run(client, server).packets)

    secret = hmac.new(b"c" * 32 + b"s" * 32, KEY, "sha256").digest()
    opening = hashlib.sha256(hello + challenge).digest()
    client_proof = hmac.new(expand("easycluster 1 client proof"), hello + challenge, "sha256").digest()
    assert proof == packet(PROOF, Hello(proof=client_proof))
    server_proof = hmac.new(
        expand("easycluster 1 server proof"), hello + challenge + proof + SESSION_NAME, "sha256"
    ).digest()
    assert welcome == packet(WELCOME, Hello(proof=server_proof, session=SESSION_NAME))
    assert server.agreement is not None
    assert server.agreement.receive_key == expand("easycluster 1 to server")
    assert server.agreement.send_key == expand("easycluster 1 to client")
    assert parse_hello(hello[8:]).key_id == hmac.new(KEY, b"easycluster 1 key id", "sha256").digest()[:8]


@pytest.mark.parametrize(
    ("prk", "info", "okm"),
    [
        (
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        ),
        (
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
        ),
    ],
    ids=["case 1", "case 3"],
)
@pytest.mark.parametrize("cut", [0, 3])
def test_vectors_of_the_rfc(prk: str, info: str, okm: str, cut: int) -> None:
    """`expand` gives the first 32 bytes of the test cases of RFC 5869, however label and context are divided."""
    data = bytes.fromhex(info)

    assert expand(bytes.fromhex(prk), data[:cut], data[cut:]).hex() == okm


def test_every_part_matters() -> None:
    """Another key, nonce or opening gives other keys and proofs, and the two directions and ends never share one."""
    seen = set()
    for parts in (
        (KEY, b"c" * 32, b"s" * 32, b"opening"),
        (OTHER_KEY, b"c" * 32, b"s" * 32, b"opening"),
        (KEY, b"d" * 32, b"s" * 32, b"opening"),
        (KEY, b"c" * 32, b"t" * 32, b"opening"),
        (KEY, b"c" * 32, b"s" * 32, b"closing"),
    ):
        secrets = Secrets(*parts)
        seen |= {
            secrets.to_server,
            secrets.to_client,
            secrets.prove_client(b"transcript"),
            secrets.prove_server(b"transcript"),
        }

    assert len(seen) == 20
    assert {len(each) for each in seen} == {32}


def test_key_ids() -> None:
    """The id of a key has 8 bytes, is the same each time, and differs between keys."""
    assert derive_key_id(KEY) == derive_key_id(KEY)
    assert derive_key_id(KEY) != derive_key_id(OTHER_KEY)
    assert len(derive_key_id(KEY)) == 8
