"""The dataset itself: its name, its description, whether it is archived. What it holds builds on it."""
