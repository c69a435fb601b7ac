"""From the bytes of a file to its records, bounded and with line numbers."""
