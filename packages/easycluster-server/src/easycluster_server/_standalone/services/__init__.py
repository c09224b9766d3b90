"""The server as a service of the system: one file for each system's way.

`service.Service` is what each system offers; `systems` finds the one of this machine. Nothing in a service
acts by itself: it returns steps (`steps`), which are described for ``--dry-run`` or performed. So what would
be done on any system can be shown, and tested, on every other.
"""
