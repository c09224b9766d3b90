"""The protocol of EasyCluster: handshake, frames, messages, values, objects, definitions, keys, errors.

Nothing in this package does network I/O, starts a thread or looks at a clock. The public names are
in `easycluster`, `easycluster_protocol.errors` and `easycluster_protocol.keys`.
"""
