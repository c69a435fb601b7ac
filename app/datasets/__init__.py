"""Datasets, their imports, and versions frozen by content hash."""
