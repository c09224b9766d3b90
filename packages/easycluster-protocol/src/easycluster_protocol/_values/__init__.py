"""Values and exceptions, to bytes and back."""
