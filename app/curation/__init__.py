"""The dataset as people work on it: its list and tabs, its settings, its removal with all it holds."""
