"""PURE: what a conversation is. Its one canonical form and hash, its roles, its language, which turns it trains."""
