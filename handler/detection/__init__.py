"""YOLOv5 detection: from the bytes of a picture to its detections. Knows nothing of TorchServe."""
