"""The `masks` commands."""
