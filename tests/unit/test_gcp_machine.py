"""What deploy/gcp/up puts on the machine and does there."""

from __future__ import annotations

import re
import stat
from typing import Any

import yaml

from support.gcp.recorded_programs import TOKEN
from support.gcp.recording import FULL, GCP, NAMES, PASSWORD, REGISTRY, ROOT, Rig, default, rig

__all__ = ["rig"]


def composed(rig: Rig) -> tuple[dict[str, str], dict[str, Any]]:
    """The machine's .env, and what its compose files say beside compose.yaml, filled in with it."""
    settings = dict(line.split("=", 1) for line in (rig.machine / ".env").read_text().splitlines())
    beside = (rig.machine / "compose.gcp.yaml").read_text()
    beside = re.sub(r"\$\{(\w+):\?\}", lambda found: settings[found[1]], beside)
    return settings, yaml.safe_load(beside)["services"]


def test_the_stack_is_that_of_compose_with_the_pushed_images_and_only_its_page_published(rig: Rig) -> None:
    rig.up(MODELS="yolov5n", TORCHSERVE_MEMORY="12g")
    assert (rig.machine / "compose.yaml").read_text() == (ROOT / "compose.yaml").read_text()
    settings, services = composed(rig)
    assert settings == {
        "COMPOSE_FILE": "compose.yaml:compose.gcp.yaml",
        "REGISTRY": REGISTRY,
        "VERSION": "1.0.0",
        "MODELS": "yolov5n",
        "PRECISION": "fp32",
        "TORCHSERVE_MEMORY": "12g",
        "PAGE_ADDRESS": "10.85.0.2",
    }
    assert [services[name].pop("image") for name in NAMES] == rig.cloud["images"] == rig.cloud["pulled"]
    # Nothing else is changed, so the API stays on the machine's loopback address.
    assert services == {"archiver": {}, "torchserve": {}, "ui": {"ports": ["10.85.0.2:8501:8501"]}}
    base = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert [default(port) for port in base["torchserve"]["ports"]] == ["127.0.0.1:8080:8080"]
    assert [default(port) for port in base["ui"]["ports"]] == ["127.0.0.1:8501:8501"]


def test_all_settings_passed_on_are_composes(rig: Rig) -> None:
    (names,) = re.findall(r"PASSED_ON=\(([^)]*)\)", (GCP / "settings.sh").read_text())
    for name in names.split():
        assert f"${{{name}:-" in (ROOT / "compose.yaml").read_text()


def test_nothing_is_done_on_the_machine_but_as_root_or_to_see_whether_it_answers(rig: Rig) -> None:
    rig.up(**FULL)
    for call in rig.calls():
        if call["words"][:2] == ["compute", "ssh"]:
            (command,) = [word.partition("=")[2] for word in call["words"] if word.startswith("--command=")]
            assert command == "true" or all(each.startswith("sudo ") for each in command.split(" && "))


def test_the_machines_token_is_input_and_not_kept(rig: Rig) -> None:
    rig.up()
    calls = [call["words"] for call in rig.calls() if call["on_machine"]]
    assert [words[0] for words in calls if words[0] in ("login", "pull")] == ["login", "pull", "pull", "pull"]
    assert TOKEN not in str(calls)
    assert not list(rig.folder.rglob("config.json"))


def test_pictures_and_checkpoints_at_hand_go_along(rig: Rig) -> None:
    weights = rig.folder / "weights"
    weights.mkdir()
    for name in ("waste", "other"):
        (weights / f"{name}.pt").write_text(name)
    (weights / "waste.pt").chmod(0o600)
    rig.up(MODELS="yolov5s,waste", WEIGHTS_DIR="weights", PRECISION="int8", CALIBRATION_DIR="pictures")
    assert [path.name for path in (rig.machine / "weights").iterdir()] == ["waste.pt"]
    assert stat.S_IMODE((rig.machine / "weights" / "waste.pt").stat().st_mode) & 0o044 == 0o044
    assert (rig.machine / "calibration" / "one.jpg").read_bytes() == b"picture"
    assert composed(rig)[0]["CALIBRATION_DIR"] == "./calibration"


def recreated(rig: Rig) -> bool:
    return any("--force-recreate" in call["words"] for call in rig.calls())


def test_the_operators_password_goes_as_input_and_can_be_changed_and_taken_back(rig: Rig) -> None:
    secret = rig.machine / "secrets" / "operator_password"
    rig.up(OPERATOR_PASSWORD_FILE="password")
    assert secret.read_text() == PASSWORD
    assert stat.S_IMODE(secret.stat().st_mode) == 0o400
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert composed(rig)[0]["OPERATOR_PASSWORD_FILE"] == "./secrets/operator_password"
    calls = rig.calls()
    assert PASSWORD not in str(calls)
    assert any("chown 10001:10001 " in str(call["words"]) for call in calls)
    rig.up(OPERATOR_PASSWORD_FILE="password")
    assert not recreated(rig)
    (rig.folder / "password").write_text("another")
    rig.up(OPERATOR_PASSWORD_FILE="password")
    assert recreated(rig)
    assert secret.read_text() == "another"
    rig.up()
    assert not secret.parent.exists()
    assert "OPERATOR_PASSWORD_FILE" not in composed(rig)[0]


def test_a_stack_that_does_not_start_is_told_with_its_last_words(rig: Rig) -> None:
    rig.arrange(fail={"docker compose up": "dependency failed to start"})
    told = rig.fails("up")
    assert "machine: the stack did not start (within 1800 s); its state and last words are above" in told
    assert "what compose says to ['logs', '--tail', '40']" in told
    assert "up: this failed, and what comes after it was not begun: gcloud compute ssh" in told


def test_a_stack_that_does_not_get_healthy_is_not_waited_for_for_ever(rig: Rig) -> None:
    rig.arrange(health={"torchserve": "healthy", "ui": "starting"})
    assert "machine: ui is starting after 0 s; its state and last words are above" in rig.fails("up", READY_SECONDS="0")


def test_images_that_cannot_be_pulled_are_tried_again_and_then_told(rig: Rig) -> None:
    rig.arrange(fail={"docker pull": "denied"})
    assert "machine: failed: docker pull -q " in rig.fails("up")
    assert sum(call["words"][:1] == ["pull"] for call in rig.calls()) == 12
    assert not list(rig.folder.rglob("config.json"))
