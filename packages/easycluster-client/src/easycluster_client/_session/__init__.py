"""An open connection: its calls under way, whose turn it is to read, and how it ends."""
