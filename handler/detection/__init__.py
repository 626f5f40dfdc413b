"""YOLOv5 detection, from an encoded image to its detections. Independent of TorchServe."""
