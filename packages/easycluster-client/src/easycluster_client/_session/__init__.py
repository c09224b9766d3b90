"""An open connection: the calls under way, the turn to read, the end."""
