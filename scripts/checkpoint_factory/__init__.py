"""Writes YOLOv5 checkpoints with random weights in the original formats, for benchmarks and tests."""
