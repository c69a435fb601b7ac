"""Tests that drive the real pages in a real Chromium, against a real server with real workers."""
