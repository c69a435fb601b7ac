"""From conversations to files, our own or another tool's."""
