"""PURE: suites, checks and scores of answers, without database, web or model."""
