"""Reads a checkpoint without running its code, and rebuilds the network in it."""
