"""deploy/gcp run against stand-ins for gcloud, docker, curl and the machine, and what it called them with."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.gcp.cloud import KINDS, empty_cloud
from support.gcp.recorded_programs import PROGRAMS

TESTS = Path(__file__).parents[2]
ROOT = TESTS.parent
GCP = ROOT / "deploy" / "gcp"
REGISTRY = "us-central1-docker.pkg.dev/my-project/yolov5-torchserve"
NAMES = ("archiver", "torchserve", "ui")
LOOKS = ("list", "describe", "get-iam-policy", "get-value")
PAGE = "http://198.51.100.9:8501\n"
PASSWORD = "correct-horse"
# Settings with which up does all that it can.
FULL = {"PRECISION": "int8", "CALIBRATION_DIR": "pictures", "OPERATOR_PASSWORD_FILE": "password"}


class Rig:
    """A folder with the stand-ins and what they keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "home").mkdir()
        (folder / "tmp").mkdir()
        for name in PROGRAMS:
            program = self.bin / name
            program.write_text(
                f"#!{sys.executable} -S\nimport sys\nsys.path.insert(0, {str(TESTS)!r})\n"
                "from support.gcp.recorded_programs import main\nmain()\n"
            )
            program.chmod(0o755)
        self.arrange(**empty_cloud())

    @property
    def cloud(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "cloud.json").read_text())
        return content

    def arrange(self, **changes: Any) -> None:
        path = self.folder / "cloud.json"
        path.write_text(json.dumps({**(self.cloud if path.exists() else {}), **changes}))

    @property
    def machine(self) -> Path:
        return self.folder / "machine"

    def environment(self, **settings: str) -> dict[str, str]:
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "STANDIN_FOLDER": str(self.folder),
            "RETRY_SECONDS": "0",
            "PROJECT": "my-project",
            **settings,
        }

    def run(self, *words: str, text: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        """A command, or a script as input of bash; settings that are empty are as good as unset."""
        return subprocess.run(
            words,
            input=text,
            env=self.environment(**settings),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def up(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        done = self.run(str(GCP / "up"), *words, **settings)
        assert done.returncode == 0, done.stderr
        return done

    def down(self, *words: str, text: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        done = self.run(str(GCP / "down"), *words, text=text, **settings)
        assert done.returncode == 0, done.stderr
        return done

    def fails(self, command: str, *words: str, **settings: str) -> str:
        """What a command that must fail says last."""
        done = self.run(str(GCP / command), *words, **settings)
        assert done.returncode == 1, done.stderr
        return done.stderr

    def calls(self) -> list[dict[str, Any]]:
        """All calls since this was asked last."""
        path = self.folder / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def changes(self) -> list[str]:
        """Calls on the caller's side that change something, since this was asked last."""
        return [" ".join(words) for words in map(spoken, self.calls()) if words]

    def resources(self) -> dict[str, set[str]]:
        return {kind: set(self.cloud[kind]) for kind in KINDS if self.cloud[kind]}


def spoken(call: dict[str, Any]) -> list[str]:
    """A call's words, if it is one that changes something; that which tells the address counts as one."""
    words = [call["program"], *call["words"]]
    changes = call["program"] == "docker" and words[1] != "info"
    if call["program"] == "gcloud":
        positional = [word for word in words if not word.startswith("--")]
        changes = not set(positional) & set(LOOKS) or "natIP" in " ".join(words)
    return words if changes and not call["on_machine"] else []


def flags_of(change: str) -> dict[str, str]:
    return dict(re.findall(r"(--[a-z-]+)=(\S+)", change))


def default(text: str) -> str:
    """A value of compose.yaml where no variable is set."""
    return re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", text)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A project in which nothing was made yet."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.jpg").write_bytes(b"picture")
    (tmp_path / "password").write_text(PASSWORD)
    return Rig(tmp_path)


@pytest.fixture(scope="module")
def after_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("up")
    Rig(folder).up()
    return folder


@pytest.fixture
def rented(after_up: Path, rig: Rig) -> Rig:
    """A project after `up`, with its calls forgotten."""
    shutil.copytree(after_up, rig.folder, dirs_exist_ok=True)
    rig.calls()
    return rig
