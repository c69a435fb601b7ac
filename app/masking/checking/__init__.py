"""The proof of a mask: checks of a sample, and the check over a whole version."""
