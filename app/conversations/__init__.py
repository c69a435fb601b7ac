"""The stored dialogue: messages, turn flags, labels, revisions, review. The package to copy the style of."""
