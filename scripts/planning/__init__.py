"""Calculates the cores, replicas and costs of a load."""
