"""Every error that EasyCluster itself raises.

Each derives from `EasyClusterError` and from the built-in exception that scripts already catch::

    EasyClusterError
    ├── SpecError               (ValueError)       a connection spec or option cannot be used
    ├── KeyFileError            (ValueError)       a key or key file cannot be used
    ├── ConnectError            (OSError)          a connection could not be made
    │   ├── AuthenticationError (PermissionError)  the two ends do not share the key
    │   └── VersionError                           the two ends cannot work together
    ├── ConnectionLost          (ConnectionError, EOFError)   an open connection ended
    │   ├── CallNotSent                            the call was not sent, and will not be run
    │   └── OutcomeUnknown                         the call was sent, and may have been run
    ├── CallTimeout             (TimeoutError)     a call took longer than its timeout
    ├── CallCancelled           (CancelledError)   a call was cancelled
    ├── ProtocolError           (ConnectionError)  the bytes or the order of messages are wrong
    │   ├── LocalProtocolError                     this end was asked to send something illegal
    │   └── RemoteProtocolError                    the peer sent something illegal
    ├── SerializationError      (PicklingError, TypeError)    a value could not be sent
    ├── DeserializationError    (UnpicklingError, ValueError) a value could not be received
    │   └── UntrustedResult                        a host sent what it is not trusted with
    ├── DefinitionError         (ImportError)      a block of definitions failed on the server
    ├── CompletionError         (RuntimeError)     a completion function waited for an answer
    ├── RemoteException                            carries an exception of remote code
    ├── RemoteTraceback                            the cause of an exception raised again here
    └── UnknownRemoteError                         takes the place of an exception class not known here
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ._pickling import PicklingError, UnpicklingError


class EasyClusterError(Exception):
    """Base class of all errors that EasyCluster raises."""


class SpecError(EasyClusterError, ValueError):
    """A connection spec, or one of its options, cannot be used; the message quotes it."""


class KeyFileError(EasyClusterError, ValueError):
    """A key, or the file that should hold one, cannot be used."""


class ConnectError(EasyClusterError, OSError):
    """A connection could not be made; the message names the host and says what to do."""


class AuthenticationError(ConnectError, PermissionError):
    """The two ends do not share the same key."""


class VersionError(ConnectError):
    """The two ends cannot work together; the message names both versions."""


class ConnectionLost(EasyClusterError, ConnectionError, EOFError):
    """A connection has ended, on purpose or not; every waiting call raises this, see the two subclasses.

    Attributes:
        reason: why it ended: ``"closed"``: by `Client.close` or `Client.reconnect`; ``"ended"``: the process
            on the host has ended, or has closed it; ``"lost"``: the network, the host or ssh has failed, or
            nothing says which; ``"frozen"``: the process on the host does not move; ``"damaged"``: bytes came
            that no server of EasyCluster sends; ``"forked"``: it belongs to the parent of this process;
            ``"unconnected"``: there was none yet.
        started: whether the call has been begun on the host: True, False, or None if that is not known.
        host: the name of the server, as `Client.peername`; empty: it is not known.
    """

    reason: str = "lost"
    started: Optional[bool] = None
    host: str = ""


class CallNotSent(ConnectionLost):
    """The connection ended before the call was sent completely: it was not run, and will not be."""

    started: Optional[bool] = False


class OutcomeUnknown(ConnectionLost):
    """The connection ended after the call was sent and before its answer came: it may have been run, wholly
    or in part; ``started`` tells whether it was begun."""


class CallTimeout(EasyClusterError, TimeoutError):
    """There was no answer within the given time; the call goes on, unless the error says otherwise.

    Attributes:
        state: the state of the call: ``"started"``; ``"sent"``, and perhaps started; ``"cancelled"``: it was
            ended, see the option ``cancel`` of `options`; ``"not sent"``: it will not be run; or
            ``"unknown"``, because only a part of it could be sent in time.
        response: the response, which can be waited for again, or None if the call was not completely sent.
    """

    state: str = "unknown"
    response: Any = None

    def __reduce__(self) -> Tuple[type, Tuple[Any, ...], Dict[str, str]]:
        # The response is not pickled: it belongs to its connection.
        return CallTimeout, self.args, {"state": self.state}


class CallCancelled(EasyClusterError):
    """The call was cancelled, so it has no value. Masters raise a `concurrent.futures.CancelledError`, too.

    Attributes:
        cancelled_by: the step that ended it: ``"not begun"``: it was taken out of its queue, and has not run;
            ``"signal"``: the main thread of the host's process was interrupted; ``"exception"``: an
            exception was raised in another thread.
    """

    cancelled_by = ""


class ProtocolError(EasyClusterError, ConnectionError):
    """The rules of the protocol were broken; the connection cannot be used any more."""


class LocalProtocolError(ProtocolError):
    """This end was asked to send something that the protocol does not allow in its present state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol does not allow."""


class SerializationError(EasyClusterError, PicklingError, TypeError):
    """A value could not be pickled, so it was not sent; the connection is unharmed."""


class DeserializationError(EasyClusterError, UnpicklingError, ValueError):
    """A value arrived but could not be unpickled; the connection is unharmed."""


class UntrustedResult(DeserializationError):
    """A host sent more than it is trusted with, see ``trust=results``; nothing of it was run."""


class DefinitionError(EasyClusterError, ImportError):
    """A block of definitions could not be executed on the server; the message names block and line."""


class CompletionError(EasyClusterError, RuntimeError):
    """A completion function of a ThreadedClient waited for an answer, which would never come."""


class RemoteException(EasyClusterError):
    """An exception that remote code raised, with its stack trace there.

    Attributes:
        orig: the original exception, as far as it could be rebuilt here.
        text: the remote stack trace, a list of lines as `traceback.format_exception` gives.
    """

    orig: BaseException

    def __init__(self, orig: Any = None, text: Optional[Sequence[str]] = None) -> None:
        self.text: List[str] = list(text or ())
        super().__init__(orig, self.text)
        self.orig = orig

    def __str__(self) -> str:
        return "".join(self.text).rstrip("\n") or repr(self.orig)


class RemoteTraceback(EasyClusterError):
    """The cause of an exception that is raised again on the master; it says where it was raised first.

    Attributes:
        host: the name of the server, as `Client.peername`.
        text: the remote stack trace, a list of lines.
    """

    def __init__(self, host: str, text: Sequence[str]) -> None:
        super().__init__(host, list(text))
        self.host = host
        self.text: List[str] = list(text)

    def __str__(self) -> str:
        # From Python 3.11 on, a note of the exception itself names the host.
        where = "the stack trace there:" if sys.version_info >= (3, 11) else "on " + self.host  # novm
        return where + "\n" + "".join(self.text).rstrip("\n")


class UnknownRemoteError(EasyClusterError):
    """Takes the place of a remote exception whose class does not exist here, or that cannot be rebuilt.

    Each instance has a class of its own, which has the name of the original class and also
    derives from its nearest built-in base, so ``except ValueError`` still works.

    Attributes:
        remote_type: the full name of the original class.
        reason: why the original could not be rebuilt, or None.
    """

    remote_type: str = ""
    reason: Optional[str] = None

    def __str__(self) -> str:
        # The `__str__` of the other base may need attributes that only the original had.
        return str(self.args[0]) if self.args else ""
