"""What a file that is not a YOLOv5 detection checkpoint is, in words."""

from collections.abc import Collection, Mapping
from typing import Any

EXPECTED = "a YOLOv5 detection checkpoint (.pt) was expected"
_TASKS = {"Segment": "segmentation", "Pose": "pose", "Classify": "classification", "OBB": "oriented-box"}
_NEWER_LAYERS = {
    "C3k2": "YOLO11 or later", "A2C2f": "YOLO12", "SCDown": "YOLOv10", "v10Detect": "YOLOv10", "C2f": "YOLOv8",
    "RepNCSPELAN4": "YOLOv9", "RTDETRDecoder": "RT-DETR", "WorldDetect": "YOLO-World",
}  # fmt: skip


def describe_bytes(content: bytes) -> str:
    """A file that is no zip archive, by its first bytes."""
    head = content[:1024]
    if not content:
        what = "the file is empty"
    elif head.startswith(b"version https://git-lfs"):
        what = "it is a Git LFS pointer, not the file itself: run `git lfs pull`"
    elif head.lstrip()[:1] == b"<":
        what = "it is a web page or XML"
    elif head.startswith(b"\x08") and any(word in head for word in (b"pytorch", b"onnx", b"ultralytics")):
        what = "it is an ONNX model"
    elif head.startswith(b"\x80"):
        what = "it is a bare pickle or was saved by a PyTorch before 1.6: save it again with a newer one"
    elif head.startswith(b"\x1f\x8b"):
        what = "it is compressed with gzip: unpack it first"
    elif _is_text(head):
        what = "it is a text file"
    else:
        what = f"it is not a file that torch.save wrote (it begins with {head[:8].hex(' ')})"
    return f"{what}; {EXPECTED}"


def describe_archive(entries: Collection[str]) -> str | None:
    """A zip archive that torch.save did not write, by the names in it; None if torch.save wrote it."""
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
    """A checkpoint that holds no model object, by what it does hold."""
    if isinstance(root, Mapping):
        keys = ", ".join(str(key)[:30] for key in list(root)[:4])
        values = [value for value in root.values() if type(value).__name__ in ("Tensor", "Parameter")]
        if values and len(values) == len(root):
            return (
                f"it is a plain state dict ({len(root)} tensors: {keys}, ...), without the layers' structure; "
                f"{EXPECTED}, as train.py saves it"
            )
        return f"it holds {{{keys}}} and no model under 'ema' or 'model'; {EXPECTED}, as train.py saves it"
    return f"it holds a {type(root).__name__}; {EXPECTED}, which is a dict"


def describe_model(kind: str, layers: Collection[str]) -> str | None:
    """A model of another task or family, by its class and its layers' classes; None if it may be YOLOv5 detection.

    kind: the model's full class name. layers: class names of everything in it.
    """
    family = next((name for layer, name in _NEWER_LAYERS.items() if layer in layers), "YOLOv5")
    task = next((task for layer, task in _TASKS.items() if any(one.startswith(layer) for one in layers)), "detection")
    if kind.endswith("ClassificationModel"):
        task = "classification"
    if family == "YOLOv5" and task == "detection":
        return None
    article = "an" if task.startswith("o") else "a"
    return f"it is {article} {family} {task} model ({kind}); {EXPECTED}"


def describe_layer(name: str, supported: Collection[str]) -> str:
    """A layer that YOLOv5 detection models of releases 5.0 to 7.0 do not have."""
    return f"its network has a layer {name}, which is not supported; supported are {', '.join(sorted(supported))}"


def _is_text(head: bytes) -> bool:
    try:
        text: Any = head.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
