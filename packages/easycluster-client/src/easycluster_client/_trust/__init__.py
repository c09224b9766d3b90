"""Unpickling for a host that is trusted with its results only (``trust=results``)."""
