"""Mask preview: one conversation as the trainer would see it, token by token."""
