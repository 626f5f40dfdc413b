"""Builds model archives for TorchServe from YOLOv5 checkpoints."""
