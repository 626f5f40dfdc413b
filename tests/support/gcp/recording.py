"""Runs deploy/gcp with stand-ins for gcloud, docker, curl and the machine, and gives their calls."""

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
READ_ONLY_VERBS = ("list", "describe", "get-iam-policy", "get-value")
PAGE = "http://198.51.100.9:8501\n"
PASSWORD = "correct-horse"
# Settings with which up does everything that it can.
ALL_SETTINGS = {"PRECISION": "int8", "CALIBRATION_DIR": "pictures", "OPERATOR_PASSWORD_FILE": "password"}


class StandIns:
    """A folder with the stand-ins and their state."""

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

    def run(self, *command: str, text: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command, or bash with a script as input. An empty setting counts as unset."""
        return subprocess.run(
            command,
            input=text,
            env=self.environment(**settings),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def up(self, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        done = self.run(str(GCP / "up"), *options, **settings)
        assert done.returncode == 0, done.stderr
        return done

    def down(self, *options: str, text: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        done = self.run(str(GCP / "down"), *options, text=text, **settings)
        assert done.returncode == 0, done.stderr
        return done

    def fails(self, command: str, *options: str, **settings: str) -> str:
        """Run a command that must fail, and return its messages."""
        done = self.run(str(GCP / command), *options, **settings)
        assert done.returncode == 1, done.stderr
        return done.stderr

    def calls(self) -> list[dict[str, Any]]:
        """All calls since the last call of this method."""
        path = self.folder / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def changes(self) -> list[str]:
        """The calls on the caller's computer that change something, since the last call of this method."""
        return [" ".join(command) for command in map(_change, self.calls()) if command]

    def resources(self) -> dict[str, set[str]]:
        return {kind: set(self.cloud[kind]) for kind in KINDS if self.cloud[kind]}


def _change(call: dict[str, Any]) -> list[str]:
    """The command line of a call that changes something, or that reads the address; empty for others."""
    command = [call["program"], *call["arguments"]]
    changes = call["program"] == "docker" and command[1] != "info"
    if call["program"] == "gcloud":
        positional = [word for word in command if not word.startswith("--")]
        changes = not set(positional) & set(READ_ONLY_VERBS) or "natIP" in " ".join(command)
    return command if changes and not call["on_machine"] else []


def flags_of(change: str) -> dict[str, str]:
    return dict(re.findall(r"(--[a-z-]+)=(\S+)", change))


def with_default(text: str) -> str:
    """A value of compose.yaml with its default."""
    return re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", text)


@pytest.fixture
def project(tmp_path: Path) -> StandIns:
    """A project without resources."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.jpg").write_bytes(b"picture")
    (tmp_path / "password").write_text(PASSWORD)
    return StandIns(tmp_path)


@pytest.fixture(scope="module")
def after_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("up")
    StandIns(folder).up()
    return folder


@pytest.fixture
def created(after_up: Path, project: StandIns) -> StandIns:
    """A project after `up`, without the calls so far."""
    shutil.copytree(after_up, project.folder, dirs_exist_ok=True)
    project.calls()
    return project
