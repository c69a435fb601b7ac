"""Chat with the base and the tuned model side by side."""
