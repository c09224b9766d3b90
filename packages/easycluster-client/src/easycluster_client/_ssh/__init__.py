"""The user's ssh, and the code that is sent through it."""
