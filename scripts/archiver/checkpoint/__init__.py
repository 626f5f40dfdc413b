"""Reads a checkpoint without running its code, and rebuilds its network."""
