"""Names that both ends share: definitions modules, and dotted names resolved in them."""
