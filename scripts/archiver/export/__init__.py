"""Writes a network as the program of an engine."""
