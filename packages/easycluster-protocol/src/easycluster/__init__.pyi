# The names of the facade for type checkers; `__init__.py` imports each when it is first used.

from easycluster_client import (
    AutoThreadingClient as AutoThreadingClient,
    Client as Client,
    ClientGroup as ClientGroup,
    Connection as Connection,
    NonblockingResponse as NonblockingResponse,
    Outcome as Outcome,
    ThreadedClient as ThreadedClient,
    add_key_options as add_key_options,
    as_completed as as_completed,
    call_method_multi as call_method_multi,
    call_multi as call_multi,
    eval_multi as eval_multi,
    execblock_multi as execblock_multi,
    key_from_options as key_from_options,
    options as options,
    outcomes as outcomes,
    parse_connection_spec as parse_connection_spec,
    security as security,
    trust as trust,
    wait as wait,
)
from easycluster_protocol._constants import (
    DEFAULT_PORT as DEFAULT_PORT,
    SINGLE as SINGLE,
    VERSION as VERSION,
)
from easycluster_protocol._definitions.exec_return import (
    exec_return as exec_return,
)
from easycluster_protocol._definitions.modules import (
    define_common as define_common,
    definitions_module as definitions_module,
)
from easycluster_protocol._definitions.names import (
    get_global as get_global,
    set_global as set_global,
)
from easycluster_protocol._objects.exports import (
    ServerObject as ServerObject,
    make_server_class as make_server_class,
    make_singleton as make_singleton,
)
from easycluster_protocol._objects.proxies import (
    RemoteProxy as RemoteProxy,
)
from easycluster_protocol._objects.proxy_classes import (
    DefaultRemoteProxy as DefaultRemoteProxy,
    FileProxy as FileProxy,
    GeneratorProxy as GeneratorProxy,
    SelfIterProxy as SelfIterProxy,
)
from easycluster_protocol.errors import (
    AuthenticationError as AuthenticationError,
    CallCancelled as CallCancelled,
    CallNotSent as CallNotSent,
    CallTimeout as CallTimeout,
    CompletionError as CompletionError,
    ConnectError as ConnectError,
    ConnectionLost as ConnectionLost,
    DefinitionError as DefinitionError,
    DeserializationError as DeserializationError,
    EasyClusterError as EasyClusterError,
    KeyFileError as KeyFileError,
    OutcomeUnknown as OutcomeUnknown,
    ProtocolError as ProtocolError,
    RemoteException as RemoteException,
    RemoteTraceback as RemoteTraceback,
    SerializationError as SerializationError,
    SpecError as SpecError,
    UnknownRemoteError as UnknownRemoteError,
    UntrustedResult as UntrustedResult,
    VersionError as VersionError,
)
from easycluster_protocol.keys import (
    Key as Key,
    KeyFileWarning as KeyFileWarning,
    decode_key as decode_key,
    generate_key as generate_key,
    read_key_file as read_key_file,
    write_key_file as write_key_file,
)

from . import parallel as parallel, remote_code as remote_code, server as server

__all__ = [
    "AutoThreadingClient",
    "CallTimeout",
    "Client",
    "ClientGroup",
    "ConnectError",
    "Connection",
    "ConnectionLost",
    "DefaultRemoteProxy",
    "DeserializationError",
    "EasyClusterError",
    "RemoteException",
    "RemoteProxy",
    "SelfIterProxy",
    "SerializationError",
    "ServerObject",
    "ThreadedClient",
    "add_key_options",
    "call_method_multi",
    "call_multi",
    "decode_key",
    "define_common",
    "definitions_module",
    "eval_multi",
    "exec_return",
    "execblock_multi",
    "generate_key",
    "key_from_options",
    "make_server_class",
    "make_singleton",
    "parse_connection_spec",
    "read_key_file",
    "write_key_file",
]
