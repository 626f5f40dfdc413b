"""From a YOLOv5 checkpoint to a model archive that TorchServe can serve."""
