"""One call, from its keywords to its value."""
