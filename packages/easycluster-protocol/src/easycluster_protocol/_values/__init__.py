"""Values and exceptions as bytes."""
