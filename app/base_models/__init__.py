"""The registry of base models: bundled, hub id or local folder; tokenizers without torch."""
