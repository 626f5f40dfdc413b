"""Malformed and unusual requests for the fuzz test."""
