"""Chat templates: compiled in a sandbox, and rendered in a process of their own that the kernel limits."""
