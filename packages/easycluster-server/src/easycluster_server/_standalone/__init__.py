"""The standalone server: a TCP listener that shares a key with its clients."""
