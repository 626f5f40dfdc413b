from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from archiver import fingerprint as module
from archiver.errors import CheckpointError, OptionError, PackingError
from archiver.fingerprint import fingerprint, handler_files, is_current, read_description
from archiver.options import ArchiveOptions
from support.descriptions import description_with

SCRIPTS = Path(module.__file__).parents[1]


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    folder = tmp_path / "handler"
    (folder / "detection" / "__pycache__").mkdir(parents=True)
    for name in ("yolov5_handler.py", "detection/head.py", "detection/__pycache__/head.pyc", ".hidden"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def options(tmp_path: Path) -> ArchiveOptions:
    return ArchiveOptions(name="model", model_store=tmp_path)


def test_fingerprint_is_stable(checkpoint: Path, options: ArchiveOptions, handler: Path, tmp_path: Path) -> None:
    first = fingerprint(checkpoint, options, handler)
    shutil.copytree(handler, tmp_path / "elsewhere")
    (handler / "detection" / "__pycache__" / "other.pyc").touch()
    elsewhere = replace(options, model_store=tmp_path / "elsewhere")
    assert fingerprint(checkpoint, elsewhere, tmp_path / "elsewhere") == first
    assert fingerprint(checkpoint, options, handler) == first


def test_fingerprint_changes_with_everything_it_covers(
    checkpoint: Path, options: ArchiveOptions, handler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprints = {fingerprint(checkpoint, options, handler)}
    for other in (
        replace(options, name="other"),
        replace(options, version="2.0"),
        replace(options, image_size=320),
        replace(options, engine="torch"),
        replace(options, licence="MIT"),
    ):
        fingerprints.add(fingerprint(checkpoint, other, handler))
    (handler / "detection" / "head.py").write_text("changed")
    fingerprints.add(fingerprint(checkpoint, options, handler))
    (handler / "detection" / "head.py").rename(handler / "detection" / "renamed.py")
    fingerprints.add(fingerprint(checkpoint, options, handler))
    checkpoint.write_bytes(b"other weights")
    fingerprints.add(fingerprint(checkpoint, options, handler))
    monkeypatch.setattr(module, "version", lambda package: "99")
    fingerprints.add(fingerprint(checkpoint, options, handler))
    assert len(fingerprints) == 10


@pytest.mark.parametrize("file", ["build.py", "checkpoint/reader.py", "export/quantize.py"])
def test_fingerprint_changes_with_a_file_of_the_archiver_in_any_folder(
    file: str, checkpoint: Path, options: ArchiveOptions, handler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "archiver"
    shutil.copytree(SCRIPTS / "archiver", copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = fingerprint(checkpoint, options, handler)
    monkeypatch.setattr(module, "_ARCHIVER_FOLDER", copy)
    assert fingerprint(checkpoint, options, handler) == before
    with (copy / file).open("a") as source:
        source.write("# changed\n")
    assert fingerprint(checkpoint, options, handler) != before


def test_handler_files_exclude_caches(handler: Path, tmp_path: Path) -> None:
    assert list(handler_files(handler)) == ["detection/head.py", "yolov5_handler.py"]
    with pytest.raises(PackingError, match="there are none"):
        handler_files(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "content",
    [
        None, b"", b"no zip", "[1]", "{", "{}",
        '{"fingerprint": "wanted"}',  # of another version
        description_with(fingerprint="other").to_json(),
    ],
)  # fmt: skip
def test_archive_that_is_not_of_this_fingerprint_is_stale(content: bytes | str | None, tmp_path: Path) -> None:
    archive = tmp_path / "model.mar"
    if isinstance(content, bytes):
        archive.write_bytes(content)
    elif isinstance(content, str):
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("model.json", content)
    assert not is_current(archive, "wanted")


def test_archive_of_this_fingerprint_is_current(tmp_path: Path) -> None:
    archive = tmp_path / "model.mar"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("model.json", description_with(fingerprint="wanted", name="ж").to_json())
    assert is_current(archive, "wanted")
    assert read_description(archive) == description_with(fingerprint="wanted", name="ж")
    archive.write_bytes(archive.read_bytes()[:-10])
    assert not is_current(archive, "wanted")


def test_missing_checkpoint_and_directory_are_named_in_the_error(
    options: ArchiveOptions, handler: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        fingerprint(tmp_path / "none.pt", options, handler)
    with pytest.raises(CheckpointError, match="is a directory"):
        fingerprint(tmp_path, options, handler)


def test_checking_an_archive_imports_no_large_package() -> None:
    large = ("torch", "openvino", "ultralytics", "numpy", "cv2")
    code = f"import archiver.cli, archiver.build, sys; print([name for name in {large} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


OPTIONS = {
    "an empty name": ({"name": ""}, "name ''"),
    "a path as a name": ({"name": "../x"}, r"name '\.\./x'"),
    "a hidden name": ({"name": ".x"}, "name '.x'"),
    "a name with a line break": ({"name": "x\n"}, "name 'x"),
    "a long name": ({"name": "x" * 65}, "1 to 64 letters"),
    "a version that is not a number": ({"version": "one"}, "version 'one'"),
    "a version with a dot at its end": ({"version": "1."}, "version '1.'"),
    "an odd image size": (
        {"image_size": 650},
        "image size 650: a multiple of 32 in 32..1280 was expected, such as 640",
    ),
    "an image size of zero": ({"image_size": 0}, "such as 32"),
    "a huge image size": ({"image_size": 4096}, "such as 1280"),
    "an unknown engine": ({"engine": "onnx"}, "engine 'onnx': one of openvino, torch was expected"),
    "an unknown precision": ({"precision": "int4"}, "precision 'int4'"),
    "a licence of two lines": ({"licence": "a\nb"}, "licence"),
}


@pytest.mark.parametrize(("changes", "message"), OPTIONS.values(), ids=OPTIONS)
def test_option_out_of_range_is_rejected(changes: dict[str, object], message: str, options: ArchiveOptions) -> None:
    with pytest.raises(OptionError, match=message):
        replace(options, **changes)  # type: ignore[arg-type]
