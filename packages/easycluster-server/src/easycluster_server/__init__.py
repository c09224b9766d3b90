"""The server of EasyCluster: worker processes, their guardians, the listener and the command line.

Scripts use it as ``easycluster.server``. Importing this package imports nothing: a bare host that
serves one connection needs few of its modules.
"""
