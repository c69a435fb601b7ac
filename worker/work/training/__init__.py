"""Training: from checked arrays to a saved adapter."""
