"""Judging a model: named checks, scores, suites. Checks, scores and suites are pure; nothing here runs a model."""
