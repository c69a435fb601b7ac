"""Real servers and ready-made things for tests."""
