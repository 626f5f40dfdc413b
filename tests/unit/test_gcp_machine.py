"""The files and commands of deploy/gcp/up on the machine."""

from __future__ import annotations

import re
import stat
from typing import Any

import yaml

from support.gcp.recorded_programs import TOKEN
from support.gcp.recording import ALL_SETTINGS, GCP, NAMES, PASSWORD, REGISTRY, ROOT, StandIns, project, with_default

__all__ = ["project"]


def composed(project: StandIns) -> tuple[dict[str, str], dict[str, Any]]:
    """The machine's .env, and the services of its compose.gcp.yaml with these variables."""
    settings = dict(line.split("=", 1) for line in (project.machine / ".env").read_text().splitlines())
    text = (project.machine / "compose.gcp.yaml").read_text()
    text = re.sub(r"\$\{(\w+):\?\}", lambda match: settings[match[1]], text)
    return settings, yaml.safe_load(text)["services"]


def test_the_stack_is_that_of_compose_with_the_pushed_images_and_a_published_page(project: StandIns) -> None:
    project.up(MODELS="yolov5n", TORCHSERVE_MEMORY="12g")
    assert (project.machine / "compose.yaml").read_text() == (ROOT / "compose.yaml").read_text()
    settings, services = composed(project)
    assert settings == {
        "COMPOSE_FILE": "compose.yaml:compose.gcp.yaml",
        "REGISTRY": REGISTRY,
        "VERSION": "1.0.0",
        "MODELS": "yolov5n",
        "PRECISION": "fp32",
        "TORCHSERVE_MEMORY": "12g",
        "PAGE_ADDRESS": "10.85.0.2",
    }
    assert [services[name].pop("image") for name in NAMES] == project.cloud["images"] == project.cloud["pulled"]
    # Nothing else differs, so the API listens on the machine's loopback address only.
    assert services == {"archiver": {}, "torchserve": {}, "ui": {"ports": ["10.85.0.2:8501:8501"]}}
    base = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert [with_default(port) for port in base["torchserve"]["ports"]] == ["127.0.0.1:8080:8080"]
    assert [with_default(port) for port in base["ui"]["ports"]] == ["127.0.0.1:8501:8501"]


def test_all_settings_passed_on_are_in_compose(project: StandIns) -> None:
    (names,) = re.findall(r"PASSED_ON=\(([^)]*)\)", (GCP / "settings.sh").read_text())
    for name in names.split():
        assert f"${{{name}:-" in (ROOT / "compose.yaml").read_text()


def test_commands_on_the_machine_run_as_root(project: StandIns) -> None:
    project.up(**ALL_SETTINGS)
    for call in project.calls():
        if call["arguments"][:2] == ["compute", "ssh"]:
            (command,) = [word.partition("=")[2] for word in call["arguments"] if word.startswith("--command=")]
            assert command == "true" or all(part.startswith("sudo ") for part in command.split(" && "))


def test_the_machines_token_is_input_and_not_kept(project: StandIns) -> None:
    project.up()
    calls = [call["arguments"] for call in project.calls() if call["on_machine"]]
    assert [arguments[0] for arguments in calls if arguments[0] in ("login", "pull")] == [
        "login",
        "pull",
        "pull",
        "pull",
    ]
    assert TOKEN not in str(calls)
    assert not list(project.folder.rglob("config.json"))


def test_pictures_and_available_checkpoints_are_copied(project: StandIns) -> None:
    weights = project.folder / "weights"
    weights.mkdir()
    for name in ("waste", "other"):
        (weights / f"{name}.pt").write_text(name)
    (weights / "waste.pt").chmod(0o600)
    project.up(MODELS="yolov5s,waste", WEIGHTS_DIR="weights", PRECISION="int8", CALIBRATION_DIR="pictures")
    assert [path.name for path in (project.machine / "weights").iterdir()] == ["waste.pt"]
    assert stat.S_IMODE((project.machine / "weights" / "waste.pt").stat().st_mode) & 0o044 == 0o044
    assert (project.machine / "calibration" / "one.jpg").read_bytes() == b"picture"
    assert composed(project)[0]["CALIBRATION_DIR"] == "./calibration"


def recreated(project: StandIns) -> bool:
    return any("--force-recreate" in call["arguments"] for call in project.calls())


def test_the_operator_password_is_sent_as_input_and_can_be_changed_and_removed(project: StandIns) -> None:
    secret = project.machine / "secrets" / "operator_password"
    project.up(OPERATOR_PASSWORD_FILE="password")
    assert secret.read_text() == PASSWORD
    assert stat.S_IMODE(secret.stat().st_mode) == 0o400
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert composed(project)[0]["OPERATOR_PASSWORD_FILE"] == "./secrets/operator_password"
    calls = project.calls()
    assert PASSWORD not in str(calls)
    assert any("chown 10001:10001 " in str(call["arguments"]) for call in calls)
    project.up(OPERATOR_PASSWORD_FILE="password")
    assert not recreated(project)
    (project.folder / "password").write_text("another")
    project.up(OPERATOR_PASSWORD_FILE="password")
    assert recreated(project)
    assert secret.read_text() == "another"
    project.up()
    assert not secret.parent.exists()
    assert "OPERATOR_PASSWORD_FILE" not in composed(project)[0]


def test_a_stack_that_does_not_start_is_reported_with_its_log(project: StandIns) -> None:
    project.arrange(fail={"docker compose up": "dependency failed to start"})
    messages = project.fails("up")
    assert "machine: the stack did not start (within 1800 s); its state and the end of its log are above" in messages
    assert "output of compose ['logs', '--tail', '40']" in messages
    assert "up: this command failed, so the next ones were not run: gcloud compute ssh" in messages


def test_the_wait_for_a_healthy_stack_has_a_limit(project: StandIns) -> None:
    project.arrange(health={"torchserve": "healthy", "ui": "starting"})
    assert "machine: ui is starting after 0 s; its state and the end of its log are above" in project.fails(
        "up", READY_SECONDS="0"
    )


def test_a_failed_pull_is_retried_and_then_reported(project: StandIns) -> None:
    project.arrange(fail={"docker pull": "denied"})
    assert "machine: failed: docker pull -q " in project.fails("up")
    assert sum(call["arguments"][:1] == ["pull"] for call in project.calls()) == 12
    assert not list(project.folder.rglob("config.json"))
