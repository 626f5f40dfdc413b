"""Measures this service and the systems that scripts/benchmark compares it with."""
