"""Chromium, and visits to the page in it."""
