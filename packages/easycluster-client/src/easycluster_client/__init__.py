"""The client of EasyCluster: what runs on the master.

Scripts use these names as ``easycluster.Client`` and so on.
"""

from easycluster_client._client import Client
from easycluster_client._connection import Connection
from easycluster_client._group import ClientGroup
from easycluster_client._options import add_key_options, key_from_options
from easycluster_client._options_view import options
from easycluster_client._parallel import call_method_multi, call_multi, eval_multi, execblock_multi
from easycluster_client._response import NonblockingResponse
from easycluster_client._spec import parse_connection_spec
from easycluster_client._threaded import AutoThreadingClient, ThreadedClient
from easycluster_client._waiting import as_completed, wait

__all__ = [
    "AutoThreadingClient",
    "Client",
    "ClientGroup",
    "Connection",
    "NonblockingResponse",
    "ThreadedClient",
    "add_key_options",
    "as_completed",
    "call_method_multi",
    "call_multi",
    "eval_multi",
    "execblock_multi",
    "key_from_options",
    "options",
    "parse_connection_spec",
    "wait",
]
