"""The processes of one connection: the worker, its guardian, and the fork server that forks both."""
