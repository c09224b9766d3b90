"""Messages, which the two ends send to each other, and the format of their envelopes.

The envelope is plain binary and stands outside the pickle, so a value that cannot be unpickled
fails its own call and no other. All numbers are big-endian::

    offset  size  field
    0       1     kind
    1       3     reserved       zero
    4       4     references     number of object ids that the body names
    8       4     releases       number of objects that the sender gives back
    12      4     buffers        number of buffers that travel beside the body
    16      8     thread         signed: the server thread concerned; 0 is the main thread
    24      8     request        the call concerned; for PING a token, for CREDIT a number of bytes
    32      8     body           length of the body in bytes
    40      8     each reference: object id
            12    each release: object id (8), receipts given back (4)
            8     each buffer: its length
            ...   the body, then the buffers
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

from easycluster_protocol._limits import MAX_TABLE_ENTRIES
from easycluster_protocol.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

    #: A message without body and buffers, the length of its body, the lengths of its buffers, and the size of
    #: the envelope.
    Head = Tuple["Message", int, Tuple[int, ...], int]

CALL = 1  # client: call a global; body: pickle of (name, args, kwargs)
INVOKE = 2  # client: call a method; body: pickle of (object id, name, args, kwargs)
RESULT = 3  # server: the call returned a value; body: its pickle
FAILURE = 4  # server: the call raised an exception; body: see easycluster_protocol._values.failures
CANCEL = 5  # client: this call is to end, or not to begin; it is answered nevertheless
RELEASE = 6  # client: only the table of releases
CREDIT = 7  # both: the receiver may send this many more bytes for this thread
PING = 8  # both: answer with PONG and the same token
PONG = 9
STOP_THREAD = 10  # client: end this server thread when its calls are done
CLOSE = 11  # both: the sender sends nothing more; body: the reason, UTF-8
STATUS_QUERY = 12  # client: has this call been started?
STATUS = 13  # server: body: STARTED, or empty
MODULES = 14  # client: modules that the server may import; body: see easycluster_server._serving.sent_modules
REFERENCES = 15  # server: further objects that the answer to this call names; comes before it

#: The body of a STATUS: a thread has begun the call.
STARTED = b"started"

KIND_NAMES: Dict[int, str] = {
    CALL: "CALL",
    INVOKE: "INVOKE",
    RESULT: "RESULT",
    FAILURE: "FAILURE",
    CANCEL: "CANCEL",
    RELEASE: "RELEASE",
    CREDIT: "CREDIT",
    PING: "PING",
    PONG: "PONG",
    STOP_THREAD: "STOP_THREAD",
    CLOSE: "CLOSE",
    STATUS_QUERY: "STATUS_QUERY",
    STATUS: "STATUS",
    MODULES: "MODULES",
    REFERENCES: "REFERENCES",
}

HEAD = struct.Struct(">B3xIIIqQQ")
HEAD_SIZE = HEAD.size

#: The same for messages without tables: kind, thread, request, and length of the body.
pack_plain_head = struct.Struct(">B15xqQQ").pack

#: The same as a part of a format to be read. Its text is the three numbers of entries, which are all 0.
PLAIN_HEAD = "B3x12sqQQ"
NO_TABLES = bytes(12)


class Message:
    """One message: its envelope, its body and the buffers beside it.

    Attributes:
        kind: one of the constants of this module.
        request: the id of the call concerned.
        thread: the id of the server thread concerned.
        body: the bytes of the body.
        buffers: the large buffers that the pickle in the body refers to, in order.
        references: the ids of the objects that the body names.
        releases: pairs of object id and the number of receipts given back.
        damage: why the body could not be received although the envelope was, or None.
        device_memory: whether values in the memory of devices may be copied for this call: an option in the
            body, which is noted when that is unpickled.
        receipts: the notes of the client about the references, see `easycluster_client._session.references`.
    """

    # In the class, because most messages have none of these.
    buffers: Sequence[Buffer] = ()
    references: Sequence[int] = ()
    releases: Sequence[Tuple[int, int]] = ()
    damage: Optional[str] = None
    device_memory = False
    receipts: Any = None

    def __init__(
        self,
        kind: int,
        request: int = 0,
        body: Buffer = b"",
        thread: int = 0,
        buffers: Sequence[Buffer] = (),
        references: Sequence[int] = (),
        releases: Sequence[Tuple[int, int]] = (),
    ) -> None:
        self.kind = kind
        self.request = request
        self.thread = thread
        self.body = body
        if buffers:
            self.buffers = buffers
        if references:
            self.references = references
        if releases:
            self.releases = releases

    def __repr__(self) -> str:
        name = KIND_NAMES.get(self.kind, self.kind)
        return f"<{name} request {self.request} thread {self.thread}, {len(self.body)} bytes>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]  # mutable while it is being received

    def _fields(self) -> Tuple[object, ...]:
        return (
            self.kind,
            self.request,
            self.thread,
            bytes(self.body),
            [bytes(buffer) for buffer in self.buffers],
            list(self.references),
            [tuple(release) for release in self.releases],
        )


def pack_head(message: Message) -> bytes:
    """Return the envelope of ``message``: everything before the body.

    Raises:
        LocalProtocolError: a field is out of range.
    """
    references, releases, buffers = message.references, message.releases, message.buffers
    try:
        head = HEAD.pack(
            message.kind,
            len(references),
            len(releases),
            len(buffers),
            message.thread,
            message.request,
            len(message.body),
        )
        if references or releases or buffers:
            head += _pack_tables(references, releases, buffers)
    except struct.error as error:
        raise LocalProtocolError(f"a field of {message!r} is out of range: {error}") from error
    return head


def _pack_tables(
    references: Sequence[int], releases: Sequence[Tuple[int, int]], buffers: Sequence[Buffer]
) -> bytes:
    if max(len(references), len(releases), len(buffers)) > MAX_TABLE_ENTRIES:
        raise LocalProtocolError(
            f"a table of more than {MAX_TABLE_ENTRIES} entries does not fit a message: send fewer objects or"
            " arrays at once"
        )
    parts = [struct.pack(f">{len(references)}Q", *references)]
    parts.extend(struct.pack(">QI", oid, receipts) for oid, receipts in releases)
    parts.append(struct.pack(f">{len(buffers)}Q", *map(len, buffers)))
    return b"".join(parts)


def parse_head(data: Buffer, offset: int = 0) -> Head:
    """Parse the envelope at ``offset``.

    Returns:
        See `Head`.

    Raises:
        RemoteProtocolError: the envelope is cut short or illegal.
    """
    if len(data) - offset < HEAD_SIZE:
        raise RemoteProtocolError("an envelope is cut short")
    kind, references, releases, buffers, thread, request, body = HEAD.unpack_from(data, offset)
    if kind not in KIND_NAMES:
        raise RemoteProtocolError(f"the peer sent a message of unknown kind {kind}")
    message = Message(kind, request, b"", thread)
    if not references and not releases and not buffers:
        return message, body, (), HEAD_SIZE
    if max(references, releases, buffers) > MAX_TABLE_ENTRIES:
        raise RemoteProtocolError(f"{message!r} has a table of more than {MAX_TABLE_ENTRIES} entries")
    size = HEAD_SIZE + 8 * references + 12 * releases + 8 * buffers
    if len(data) - offset < size:
        raise RemoteProtocolError("the tables of an envelope are cut short")
    offset += HEAD_SIZE
    message.references = struct.unpack_from(f">{references}Q", data, offset)
    offset += 8 * references
    message.releases = [
        struct.unpack_from(">QI", data, offset + 12 * index)  # object id, receipts
        for index in range(releases)
    ]
    lengths = struct.unpack_from(f">{buffers}Q", data, offset + 12 * releases)
    return message, body, lengths, size
