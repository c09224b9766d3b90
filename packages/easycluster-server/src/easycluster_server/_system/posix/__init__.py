"""The half for POSIX systems: Linux, macOS and others."""
