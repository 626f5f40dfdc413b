"""The resources that deploy/gcp/up creates, each of them once."""

from __future__ import annotations

import pytest
import yaml

from support.gcp.cloud import KINDS
from support.gcp.recording import (
    NAMES,
    PAGE,
    REGISTRY,
    ROOT,
    StandIns,
    after_up,
    created,
    flags_of,
    project,
    with_default,
)

__all__ = ["after_up", "created", "project"]


def test_resources_are_created_in_the_order_of_their_dependencies(project: StandIns) -> None:
    done = project.up()
    assert done.stdout == PAGE
    images = [f"docker {verb}" for _ in NAMES for verb in ("build", "push")]
    expected = [
        "gcloud services enable", "gcloud artifacts repositories create", "gcloud auth configure-docker", *images,
        "gcloud iam service-accounts create", "gcloud artifacts repositories add-iam-policy-binding",
        "gcloud compute networks create", "gcloud compute networks subnets create",
        "gcloud compute firewall-rules create yolov5-ssh", "gcloud compute firewall-rules create yolov5-page",
        "gcloud compute instances create", *["gcloud compute ssh"] * 4, "gcloud compute instances describe",
    ]  # fmt: skip
    changes = project.changes()
    assert len(changes) == len(expected)
    for change, beginning in zip(changes, expected, strict=True):
        assert change.startswith(beginning)
        if change.startswith("gcloud"):
            assert flags_of(change)["--project"] == "my-project"
            assert "--quiet" in change.split()


def test_a_second_run_creates_and_builds_nothing(created: StandIns) -> None:
    before = created.cloud
    done = created.up()
    assert done.stdout == PAGE
    changes = created.changes()
    assert [change.split()[:3] for change in changes[:-1]] == [["gcloud", "compute", "ssh"]] * 4
    for key in ("built", "images", "bindings", "services", *KINDS):
        assert created.cloud[key] == before[key]


def pushed_images(project: StandIns) -> list[str]:
    return [change.split()[-1] for change in project.changes() if change.startswith("docker push")]


def test_a_version_is_built_once_unless_forced(created: StandIns) -> None:
    created.up(VERSION="1.1.0")
    assert pushed_images(created) == [f"{REGISTRY}/{name}:1.1.0" for name in NAMES]
    assert "VERSION=1.1.0" in (created.machine / ".env").read_text().splitlines()
    created.up(VERSION="1.1.0", FORCE="1")
    assert sum(change.startswith("docker build") for change in created.changes()) == 3
    created.arrange(images=[image for image in created.cloud["images"] if "/ui:" not in image])
    created.up(VERSION="1.1.0")
    assert [change.split()[-1] for change in created.changes() if change.startswith("docker push")] == [
        f"{REGISTRY}/ui:1.1.0"
    ]


def test_images_are_built_as_in_compose_for_the_machines_processor(created: StandIns) -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    built = {name for name in services if "build" in services[name]}
    assert built == set(NAMES)
    for name in NAMES:
        build = services[name]["build"]
        assert created.cloud["built"][f"{REGISTRY}/{name}:1.0.0"] == {
            "platform": "linux/amd64",
            "file": build["dockerfile"],
            "arguments": {key: with_default(value) for key, value in build.get("args", {}).items()},
            "context": str(ROOT),
        }


def test_the_machine_has_few_rights(created: StandIns) -> None:
    machine = created.cloud["compute instances"]["yolov5"]
    assert machine["--machine-type"] == "c3-standard-4"
    assert (machine["--image-family"], machine["--image-project"]) == ("debian-13", "debian-cloud")
    assert machine["--metadata"] == "enable-oslogin=TRUE"
    assert {"--shielded-secure-boot", "--shielded-vtpm", "--shielded-integrity-monitoring"} <= set(machine)
    assert machine["--service-account"] == "yolov5-vm@my-project.iam.gserviceaccount.com"
    assert machine["--scopes"] == "storage-ro"
    account = f"serviceAccount:{machine['--service-account']}"
    assert created.cloud["bindings"] == [["yolov5-torchserve", account, "roles/artifactregistry.reader"]]
    assert machine["--subnet"] == "yolov5"
    assert created.cloud["compute networks"]["yolov5"]["--subnet-mode"] == "custom"
    assert created.cloud["compute networks subnets"]["yolov5"]["--network"] == "yolov5"
    (guard,) = (created.folder / "units").rglob("*.conf")
    assert "-d 169.254.169.254 -p tcp ! --dport 53 -j REJECT" in guard.read_text()


@pytest.mark.parametrize(("kind", "disk"), [("c3-highcpu-8", "pd-balanced"), ("c4-standard-8", "hyperdisk-balanced")])
def test_a_disk_suits_its_machine(project: StandIns, kind: str, disk: str) -> None:
    project.up(MACHINE_TYPE=kind, DISK_GB="80")
    machine = project.cloud["compute instances"]["yolov5"]
    assert (machine["--machine-type"], machine["--boot-disk-type"], machine["--boot-disk-size"]) == (kind, disk, "80GB")


def rules(project: StandIns) -> dict[str, tuple[str, ...]]:
    flags = ("--direction", "--allow", "--source-ranges", "--target-tags", "--network")
    return {name: tuple(rule[flag] for flag in flags) for name, rule in project.cloud["compute firewall-rules"].items()}


def test_only_the_page_is_open_to_the_caller_and_only_ssh_to_googles_proxy(created: StandIns) -> None:
    assert rules(created) == {
        "yolov5-ssh": ("INGRESS", "tcp:22", "35.235.240.0/20", "yolov5", "yolov5"),
        "yolov5-page": ("INGRESS", "tcp:8501", "203.0.113.7/32", "yolov5", "yolov5"),
    }
    assert created.cloud["compute instances"]["yolov5"]["--tags"] == "yolov5"


def test_the_firewall_follows_the_callers_address(created: StandIns) -> None:
    created.arrange(address="203.0.113.99")
    created.up()
    changes = [change for change in created.changes() if "firewall" in change]
    assert [(change.split()[3:5], flags_of(change)["--source-ranges"]) for change in changes] == [
        (["update", "yolov5-page"], "203.0.113.99/32")
    ]
    created.up(SOURCE_RANGES="198.51.100.0/24,192.0.2.1/32")
    assert rules(created)["yolov5-page"][2] == "198.51.100.0/24,192.0.2.1/32"
    created.calls()
    created.up(SOURCE_RANGES="192.0.2.1/32,198.51.100.0/24")
    assert not [change for change in created.changes() if "firewall" in change]
    assert "checkip" not in str(created.calls())


def test_the_page_can_be_open_to_nobody(project: StandIns) -> None:
    done = project.up(SOURCE_RANGES="none")
    assert set(rules(project)) == {"yolov5-ssh"}
    assert done.stdout.startswith("gcloud compute ssh yolov5 ")
    project.up()
    assert "yolov5-page" in rules(project)
    project.up(SOURCE_RANGES="none")
    assert set(rules(project)) == {"yolov5-ssh"}


def test_a_range_of_all_addresses_is_reported(project: StandIns) -> None:
    assert "EVERYBODY" in project.up(SOURCE_RANGES="0.0.0.0/0").stderr
    assert "EVERYBODY" not in project.up().stderr
