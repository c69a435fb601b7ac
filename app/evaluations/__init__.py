"""Suites, checks, scores and reports: is the tuned model better than its base?"""
