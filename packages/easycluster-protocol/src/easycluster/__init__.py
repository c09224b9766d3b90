"""EasyCluster: run Python on other machines.

`spawn_local` of `easycluster.server` starts a second Python for a first try; `Client` connects to a host.
Beside the names of ``from easycluster import *``, which stand below, there are::

    as_completed, wait              several responses at once
    options                         limits and other options of calls
    trust                           classes that a host may send in spite of ``trust=results``
    security                        what protects a connection
    outcomes, Outcome               the values and errors of a call on several hosts
    get_global, set_global          names of the definitions
    NonblockingResponse             the class of responses
    FileProxy, GeneratorProxy       classes of proxies, for annotations
    Key                             the class of keys: bytes that nothing prints by accident
    KeyFileWarning                  the warning of key files that others can read
    DEFAULT_PORT, SINGLE, VERSION   constants
    remote_code, server             modules

and these errors, all derived from `EasyClusterError`::

    AuthenticationError   CallCancelled         CallNotSent           CallTimeout      CompletionError
    ConnectError          ConnectionLost        DefinitionError       DeserializationError
    KeyFileError          OutcomeUnknown        ProtocolError         RemoteException  RemoteTraceback
    SerializationError    SpecError             UnknownRemoteError    UntrustedResult  VersionError
"""

# This package only re-exports names: each is imported from its own module when it is first used, so that a
# server never imports the client. Type checkers read `__init__.pyi` instead.
#
#     easycluster_protocol    definitions, keys, errors
#     easycluster_client      clients, responses, calls on many hosts; on masters only
#     easycluster_server      the server

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Dict, List

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: Name → the module that holds it.
_STARRED: Dict[str, str] = {
    "DefaultRemoteProxy": "easycluster_protocol._objects.proxy_classes",
    "RemoteException": "easycluster_protocol.errors",
    "RemoteProxy": "easycluster_protocol._objects.proxies",
    "SelfIterProxy": "easycluster_protocol._objects.proxy_classes",
    "ServerObject": "easycluster_protocol._objects.exports",
    "decode_key": "easycluster_protocol.keys",
    "define_common": "easycluster_protocol._definitions.modules",
    "definitions_module": "easycluster_protocol._definitions.modules",
    "exec_return": "easycluster_protocol._definitions.exec_return",
    "generate_key": "easycluster_protocol.keys",
    "make_server_class": "easycluster_protocol._objects.exports",
    "make_singleton": "easycluster_protocol._objects.exports",
    "read_key_file": "easycluster_protocol.keys",
    "write_key_file": "easycluster_protocol.keys",
}
# What a script must be able to catch.
_STARRED_ERRORS = (
    "CallTimeout ConnectError ConnectionLost DeserializationError EasyClusterError SerializationError"
)
_STARRED.update(dict.fromkeys(_STARRED_ERRORS.split(), "easycluster_protocol.errors"))
_CLIENT_STARRED: Dict[str, str] = dict.fromkeys(
    (
        "AutoThreadingClient",
        "Client",
        "ClientGroup",
        "Connection",
        "ThreadedClient",
        "add_key_options",
        "call_method_multi",
        "call_multi",
        "eval_multi",
        "execblock_multi",
        "key_from_options",
        "parse_connection_spec",
    ),
    "easycluster_client",
)
_ERRORS = (
    "AuthenticationError CallCancelled CallNotSent CompletionError DefinitionError KeyFileError "
    "OutcomeUnknown ProtocolError RemoteTraceback SpecError UnknownRemoteError UntrustedResult VersionError"
)
_BY_NAME: Dict[str, str] = {
    "FileProxy": "easycluster_protocol._objects.proxy_classes",
    "GeneratorProxy": "easycluster_protocol._objects.proxy_classes",
    "NonblockingResponse": "easycluster_client",
    "get_global": "easycluster_protocol._definitions.names",
    "set_global": "easycluster_protocol._definitions.names",
    "Outcome": "easycluster_client",
    "as_completed": "easycluster_client",
    "options": "easycluster_client",
    "outcomes": "easycluster_client",
    "trust": "easycluster_client",
    "security": "easycluster_client",
    "wait": "easycluster_client",
    "Key": "easycluster_protocol.keys",
    "KeyFileWarning": "easycluster_protocol.keys",
    "DEFAULT_PORT": "easycluster_protocol._constants",
    "SINGLE": "easycluster_protocol._constants",
    "VERSION": "easycluster_protocol._constants",
}
_BY_NAME.update(dict.fromkeys(_ERRORS.split(), "easycluster_protocol.errors"))

_HOMES: Dict[str, str] = dict(_STARRED)
_HOMES.update(_CLIENT_STARRED)
_HOMES.update(_BY_NAME)

_SUBMODULES = ("server", "remote_code", "parallel")


def _is_installed(package: str) -> bool:
    try:
        # As importlib.util.find_spec, which takes 2 to 10 ms to import.
        # Finders of old packages, such as those of six and setuptools, have no `find_spec`.
        finders = [getattr(finder, "find_spec", None) for finder in sys.meta_path]
        return any(find is not None and find(package, None) is not None for find in finders)
    except ImportError:  # the importer of a host that was sent our code refuses packages that were not sent
        return False


# Names that need the client are star-exported only where it is installed.
__all__ = [*_STARRED]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]
if _is_installed("easycluster_client"):
    __all__ += [*_CLIENT_STARRED]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def _import_module(name: str) -> ModuleType:
    # As importlib.import_module; importing importlib takes 1 ms on a host that was sent our code.
    __import__(name)
    return sys.modules[name]


class _Facade(ModuleType):
    """Imports a name from its module when it is first used (Python 3.6 has no module ``__getattr__``)."""

    def __getattr__(self, name: str) -> Value:
        if name in _SUBMODULES:
            return _import_module(f"easycluster.{name}")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'easycluster' has no attribute {name!r}")
        value = getattr(_import_module(home), name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> List[str]:
        return sorted(set(super().__dir__()) | set(_HOMES) | set(_SUBMODULES))


sys.modules[__name__].__class__ = _Facade
