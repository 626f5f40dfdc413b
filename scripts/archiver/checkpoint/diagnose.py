"""Describes files that are not YOLOv5 detection checkpoints."""

from collections.abc import Collection, Mapping
from typing import Any

EXPECTED = "a YOLOv5 detection checkpoint (.pt) was expected"
_TASKS = {"Segment": "segmentation", "Pose": "pose", "Classify": "classification", "OBB": "oriented-box"}
_NEWER_LAYERS = {
    "C3k2": "YOLO11 or later", "A2C2f": "YOLO12", "SCDown": "YOLOv10", "v10Detect": "YOLOv10", "C2f": "YOLOv8",
    "RepNCSPELAN4": "YOLOv9", "RTDETRDecoder": "RT-DETR", "WorldDetect": "YOLO-World",
}  # fmt: skip


def describe_bytes(content: bytes) -> str:
    """Describe a file that is not a zip archive, by its first bytes."""
    head = content[:1024]
    if not content:
        description = "the file is empty"
    elif head.startswith(b"version https://git-lfs"):
        description = "it is a Git LFS pointer, not the file itself: run `git lfs pull`"
    elif head.lstrip()[:1] == b"<":
        description = "it is a web page or XML"
    elif head.startswith(b"\x08") and any(producer in head for producer in (b"pytorch", b"onnx", b"ultralytics")):
        description = "it is an ONNX model"
    elif head.startswith(b"\x80"):
        description = "it is a bare pickle or was saved by a PyTorch before 1.6: save it again with a newer one"
    elif head.startswith(b"\x1f\x8b"):
        description = "it is compressed with gzip: unpack it first"
    elif _is_text(head):
        description = "it is a text file"
    else:
        description = f"it is not a file that torch.save wrote (it begins with {head[:8].hex(' ')})"
    return f"{description}; {EXPECTED}"


def describe_archive(entries: Collection[str]) -> str | None:
    """Describe a zip archive by its entries; None if torch.save may have written it."""
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in entries):
        return f"it is a TorchScript program; {EXPECTED}: archive the checkpoint it was exported from"
    if any("/models/" in name and name.endswith(".json") for name in entries):
        return f"it is a torch.export program; {EXPECTED}: archive the checkpoint it was exported from"
    if any(name.endswith("MAR-INF/MANIFEST.json") for name in entries):
        return f"it is a model archive already; {EXPECTED}"
    if not any(name.endswith("data.pkl") for name in entries):
        return f"it is a zip archive without a data.pkl; {EXPECTED}"
    return None


def describe_root(root: object) -> str:
    """Describe a checkpoint without a model object, by its content."""
    if isinstance(root, Mapping):
        keys = ", ".join(str(key)[:30] for key in list(root)[:4])
        values = [value for value in root.values() if type(value).__name__ in ("Tensor", "Parameter")]
        if values and len(values) == len(root):
            return (
                f"it is a plain state dict ({len(root)} tensors: {keys}, ...) without the network's structure; "
                f"{EXPECTED}, as train.py saves it"
            )
        return f"it holds {{{keys}}} and no model under 'ema' or 'model'; {EXPECTED}, as train.py saves it"
    return f"it holds a {type(root).__name__}; {EXPECTED}, which is a dict"


def describe_model(model_class: str, class_names: Collection[str]) -> str | None:
    """Describe a model of another task or family; None if it may be a YOLOv5 detection model.

    model_class: the model's full class name. class_names: of all objects in the checkpoint.
    """
    family = next((name for layer, name in _NEWER_LAYERS.items() if layer in class_names), "YOLOv5")
    tasks = (task for layer, task in _TASKS.items() if any(name.startswith(layer) for name in class_names))
    task = next(tasks, "detection")
    if model_class.endswith("ClassificationModel"):
        task = "classification"
    if family == "YOLOv5" and task == "detection":
        return None
    article = "an" if task.startswith("o") else "a"
    return f"it is {article} {family} {task} model ({model_class}); {EXPECTED}"


def describe_layer(name: str, supported: Collection[str]) -> str:
    """Describe a layer that no YOLOv5 detection model of the releases 5.0 to 7.0 has."""
    return f"its network has a layer {name}, which is not supported; supported layers: {', '.join(sorted(supported))}"


def _is_text(head: bytes) -> bool:
    try:
        text: Any = head.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
