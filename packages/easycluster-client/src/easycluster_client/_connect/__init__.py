"""Making connections, and the specs that name them."""
