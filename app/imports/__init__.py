"""Imports: a file brings in all of its conversations or none."""
