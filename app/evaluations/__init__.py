"""Judging a model by named checks, scores and suites; these are pure, and nothing here runs a model."""
