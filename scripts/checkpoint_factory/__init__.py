"""Makes YOLOv5 checkpoints with random weights in the genuine formats, for benchmarks and tests."""
