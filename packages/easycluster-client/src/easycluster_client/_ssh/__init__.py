"""The user's ssh: its process, its output, and the code that is sent through it."""
