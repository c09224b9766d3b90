"""Making a connection, and the specs that name one."""
