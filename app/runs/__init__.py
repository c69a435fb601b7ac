"""Training runs: what was asked for, who confirmed it, what came of it."""
