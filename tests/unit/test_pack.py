from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from archiver import build, cli, pack
from archiver.build import build_archive
from archiver.errors import CheckpointError, PackingError
from archiver.options import ArchiveOptions
from checkpoint_factory.checkpoints import save_model
from support import other_checkpoints
from support.descriptions import description_with

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "pets.pt"
    save_model(other_checkpoints.tiny_model(["cat", "собака"], width=0.125), path)
    return path


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "detection" / "__pycache__").mkdir(parents=True)
    for name in ("yolov5_handler.py", "model-config.yaml", "detection/head.py", "detection/__pycache__/head.pyc"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("model.xml", "model.bin"):
        (folder / name).write_text(name)
    return [folder / "model.xml", folder / "model.bin"]


@pytest.fixture
def options(tmp_path: Path) -> ArchiveOptions:
    return ArchiveOptions(name="pets", version="1.2", model_store=tmp_path / "store")


def test_archive_holds_handler_programs_and_description(
    programs: list[Path], options: ArchiveOptions, handler: Path
) -> None:
    archive = pack.pack(programs, description_with(class_names=("собака",)), options, handler)
    assert archive == options.model_store / "pets-1.2.mar"  # beside pets.mar, which is 1.0
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == [
            "MAR-INF/MANIFEST.json", "detection/head.py", "model-config.yaml", "model.bin", "model.json", "model.xml",
            "yolov5_handler.py",
        ]  # fmt: skip
        assert "собака" in opened.read("model.json").decode()
        assert json.loads(opened.read("MAR-INF/MANIFEST.json")) == {
            "archiverVersion": "0.12.0",
            "model": {
                "configFile": "model-config.yaml",
                "handler": "yolov5_handler.py",
                "modelName": "pets",
                "modelVersion": "1.2",
            },
            "runtime": "python",
        }
    assert archive.stat().st_mode & 0o777 == 0o644
    assert list(options.model_store.iterdir()) == [archive]


def test_same_content_gives_the_same_bytes(programs: list[Path], options: ArchiveOptions, handler: Path) -> None:
    first = pack.pack(programs, description_with(), options, handler).read_bytes()
    for path in (*programs, *handler.rglob("*")):
        os.utime(path, (0, 0))
    (handler / "yolov5_handler.py").chmod(0o600)
    assert pack.pack(programs, description_with(), options, handler).read_bytes() == first


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("failure", "error"), [(full_disk, PackingError), (interrupted, KeyboardInterrupt)])
@pytest.mark.parametrize("earlier", [None, b"the earlier archive"])
def test_failed_write_leaves_the_earlier_archive(
    failure: Any,
    error: type[BaseException],
    earlier: bytes | None,
    programs: list[Path],
    options: ArchiveOptions,
    handler: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options.model_store.mkdir()
    if earlier is not None:
        options.archive_path.write_bytes(earlier)
    monkeypatch.setattr(os, "fsync", failure)
    with pytest.raises(error) as raised:
        pack.pack(programs, description_with(), options, handler)
    if error is PackingError:
        assert "pets-1.2.mar: not written: the disk is full" in str(raised.value)
    files = {path.name: path.read_bytes() for path in options.model_store.iterdir()}
    assert files == ({} if earlier is None else {"pets-1.2.mar": earlier})


def test_store_that_is_a_file_is_a_packing_error(programs: list[Path], handler: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PackingError, match="not written"):
        pack.pack(programs, description_with(), ArchiveOptions(name="pets", model_store=tmp_path / "file"), handler)


def test_handler_without_its_file_is_a_packing_error(
    programs: list[Path], options: ArchiveOptions, handler: Path
) -> None:
    (handler / "yolov5_handler.py").unlink()
    with pytest.raises(PackingError, match="torch-model-archiver failed"):
        pack.pack(programs, description_with(), options, handler)


def test_checkpoint_becomes_an_archive_once(
    checkpoint: Path, options: ArchiveOptions, handler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = build_archive(checkpoint, options)
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        description = json.loads(opened.read("model.json"))
    assert {"model.xml", "model.bin", "yolov5_handler.py", "detection/head.py", "model-config.yaml"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]
    assert len(description.pop("fingerprint")) == 64
    assert description == {
        "name": "pets",
        "version": "1.2",
        "variant": "custom",
        "class_names": ["cat", "собака"],
        "strides": [8, 16, 32],
        "anchors": [
            [[10, 13], [16, 30], [33, 23]],
            [[30, 61], [62, 45], [59, 119]],
            [[116, 90], [156, 198], [373, 326]],
        ],
        "head": "anchor",
        "reg_max": None,
        "image_size": 640,
        "precision": "fp32",
        "calibration": None,
        "engine": "openvino",
        "weights_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "licence": "not stated",
    }
    before = archive.stat()
    monkeypatch.setattr(build, "pack", lambda *_: pytest.fail("a current archive was built again"))
    assert build_archive(checkpoint, options).stat() == before


def test_command_line_builds_and_prints_a_summary(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(checkpoint), "--engine", "torch", "--image-size", "320", "--licence", "CC0", "--model-store"]
    assert cli.main([*arguments, str(tmp_path / "store")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    for fact in (str(tmp_path / "store" / "pets.mar"), " MB ", "custom", "2 classes: cat, собака"):
        assert fact in printed
    with zipfile.ZipFile(tmp_path / "store" / "pets.mar") as opened:
        assert "model.pt2" in opened.namelist()
        description = json.loads(opened.read("model.json"))
    assert (description["engine"], description["image_size"], description["licence"]) == ("torch", 320, "CC0")


def test_command_line_writes_to_the_model_store_of_the_environment(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores: list[Path] = []

    def record(_: Path, options: ArchiveOptions, calibration: Path | None) -> Path:
        stores.append(options.model_store)
        return options.archive_path

    monkeypatch.setattr(cli, "build_archive", record)
    monkeypatch.setattr(cli, "_summary", str)
    monkeypatch.setenv("MODEL_STORE", str(tmp_path / "store"))
    assert cli.main([str(checkpoint)]) == 0
    assert cli.main([str(checkpoint), "--model-store", str(tmp_path / "other")]) == 0
    monkeypatch.setenv("MODEL_STORE", "")
    assert cli.main([str(checkpoint)]) == 0
    monkeypatch.delenv("MODEL_STORE")
    assert cli.main([str(checkpoint)]) == 0
    assert stores == [tmp_path / "store", tmp_path / "other", ROOT / "model_store", ROOT / "model_store"]


MISTAKES = {
    "no such file": (["nowhere.pt"], "archive: nowhere.pt: there is no such file"),
    "no checkpoint": ([__file__], "it is a text file"),
    "a bad name": (["nowhere.pt", "--name", "a b"], "name 'a b'"),
    "an empty name": (["nowhere.pt", "--name", ""], "name ''"),
    "a bad version": (["nowhere.pt", "--version", "v1"], "version 'v1'"),
    "an image size of zero": (["nowhere.pt", "--image-size", "0"], "image size 0"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*arguments, "--model-store", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []


def test_interrupt_is_no_traceback(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "build_archive", interrupted)
    assert cli.main([str(checkpoint), "--model-store", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "archive: interrupted; temporary files were removed\n"


def test_other_checkpoint_leaves_no_archive(options: ArchiveOptions, tmp_path: Path) -> None:
    other_checkpoints.state_dict(tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="plain state dict"):
        build_archive(tmp_path / "weights.pt", options)
    assert not options.model_store.exists()


def test_help_is_instant_and_exported_archive_needs_no_ultralytics() -> None:
    modules = "archiver.checkpoint.reader, archiver.export.graph, archiver.pack"
    code = f"import sys; sys.modules['ultralytics'] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_archiver_is_installed() -> None:
    assert shutil.which("torch-model-archiver", path=str(Path(sys.executable).parent))
