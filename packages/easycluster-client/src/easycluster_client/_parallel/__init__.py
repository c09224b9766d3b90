"""Calls on several servers, and several answers at once."""
