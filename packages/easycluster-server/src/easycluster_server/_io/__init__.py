"""Bytes in and out: transports, the channel on top of them, the handshake. Masters use it too."""
