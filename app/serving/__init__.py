"""The processes of one installation: the web server, the workers beside it, and what must be true before they start."""
