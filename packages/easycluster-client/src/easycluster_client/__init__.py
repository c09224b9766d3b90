"""The client of EasyCluster, which runs on the master.

Scripts use these names as ``easycluster.Client`` and so on.
"""

from easycluster_client._api.call_options import options
from easycluster_client._api.client import Client
from easycluster_client._api.connection import Connection
from easycluster_client._api.security import security
from easycluster_client._api.threaded_client import AutoThreadingClient, ThreadedClient
from easycluster_client._api.trusted_classes import trust
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._connect.key_options import add_key_options, key_from_options
from easycluster_client._connect.spec import parse_connection_spec
from easycluster_client._parallel.group import ClientGroup
from easycluster_client._parallel.multi import call_method_multi, call_multi, eval_multi, execblock_multi
from easycluster_client._parallel.outcomes import Outcome, outcomes
from easycluster_client._parallel.waiting import as_completed, wait

__all__ = [
    "AutoThreadingClient",
    "Client",
    "ClientGroup",
    "Connection",
    "NonblockingResponse",
    "Outcome",
    "ThreadedClient",
    "add_key_options",
    "as_completed",
    "call_method_multi",
    "call_multi",
    "eval_multi",
    "execblock_multi",
    "key_from_options",
    "options",
    "outcomes",
    "parse_connection_spec",
    "security",
    "trust",
    "wait",
]
