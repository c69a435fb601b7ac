"""Versions: approved conversations frozen by content hash, and their exports."""
