"""Names that both ends share: definitions modules, and dotted names that are looked up in them."""
