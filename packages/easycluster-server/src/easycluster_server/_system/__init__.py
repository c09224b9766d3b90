"""The parts that depend on the operating system: processes, standard streams, the C library."""
