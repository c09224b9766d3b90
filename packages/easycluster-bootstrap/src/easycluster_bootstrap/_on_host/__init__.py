"""Code that runs on the host. A master reads it as text, and imports none of it."""
