"""What `scripts/mutants` consists of."""
