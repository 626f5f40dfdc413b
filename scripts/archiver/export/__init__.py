"""Exports a network as a program of an engine."""
