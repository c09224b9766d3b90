"""The handshake: the first packets on a connection, and the agreement that results from them."""
