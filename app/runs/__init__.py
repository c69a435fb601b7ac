"""Mask checks and training runs: what was asked for, who confirmed it, what came of it."""
