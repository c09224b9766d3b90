"""The half for Windows."""
