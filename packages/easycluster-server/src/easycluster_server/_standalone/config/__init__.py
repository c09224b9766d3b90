"""The settings of a standalone server: their table, and the file in which a service keeps them."""
