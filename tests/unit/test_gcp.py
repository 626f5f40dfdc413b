"""What deploy/gcp/up makes in the cloud, and that it makes it once."""

from __future__ import annotations

import pytest
import yaml

from support.gcp.cloud import KINDS
from support.gcp.recording import NAMES, PAGE, REGISTRY, ROOT, Rig, after_up, default, flags_of, rented, rig

__all__ = ["after_up", "rented", "rig"]


def test_everything_is_made_in_the_order_in_which_it_is_needed(rig: Rig) -> None:
    done = rig.up()
    assert done.stdout == PAGE
    images = [f"docker {verb}" for _ in NAMES for verb in ("build", "push")]
    expected = [
        "gcloud services enable", "gcloud artifacts repositories create", "gcloud auth configure-docker", *images,
        "gcloud iam service-accounts create", "gcloud artifacts repositories add-iam-policy-binding",
        "gcloud compute networks create", "gcloud compute networks subnets create",
        "gcloud compute firewall-rules create yolov5-ssh", "gcloud compute firewall-rules create yolov5-page",
        "gcloud compute instances create", *["gcloud compute ssh"] * 4, "gcloud compute instances describe",
    ]  # fmt: skip
    changes = rig.changes()
    assert len(changes) == len(expected)
    for change, beginning in zip(changes, expected, strict=True):
        assert change.startswith(beginning)
        if change.startswith("gcloud"):
            assert flags_of(change)["--project"] == "my-project"
            assert "--quiet" in change.split()


def test_a_second_run_makes_and_builds_nothing(rented: Rig) -> None:
    before = rented.cloud
    done = rented.up()
    assert done.stdout == PAGE
    changes = rented.changes()
    assert [change.split()[:3] for change in changes[:-1]] == [["gcloud", "compute", "ssh"]] * 4
    for key in ("built", "images", "bindings", "services", *KINDS):
        assert rented.cloud[key] == before[key]


def test_a_version_is_built_once_unless_forced(rented: Rig) -> None:
    rented.up(VERSION="1.1.0")
    assert [c.split()[-1] for c in rented.changes() if c.startswith("docker push")] == [
        f"{REGISTRY}/{name}:1.1.0" for name in NAMES
    ]
    assert "VERSION=1.1.0" in (rented.machine / ".env").read_text().splitlines()
    rented.up(VERSION="1.1.0", FORCE="1")
    assert sum(change.startswith("docker build") for change in rented.changes()) == 3
    rented.arrange(images=[image for image in rented.cloud["images"] if "/ui:" not in image])
    rented.up(VERSION="1.1.0")
    assert [c.split()[-1] for c in rented.changes() if c.startswith("docker push")] == [f"{REGISTRY}/ui:1.1.0"]


def test_images_are_built_as_compose_builds_them_for_the_machines_processor(rented: Rig) -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    built = {name for name in services if "build" in services[name]}
    assert built == set(NAMES)
    for name in NAMES:
        build = services[name]["build"]
        assert rented.cloud["built"][f"{REGISTRY}/{name}:1.0.0"] == {
            "platform": "linux/amd64",
            "file": build["dockerfile"],
            "arguments": {key: default(value) for key, value in build.get("args", {}).items()},
            "context": str(ROOT),
        }


def test_the_machine_has_little_to_give_away(rented: Rig) -> None:
    machine = rented.cloud["compute instances"]["yolov5"]
    assert machine["--machine-type"] == "c3-standard-4"
    assert (machine["--image-family"], machine["--image-project"]) == ("debian-13", "debian-cloud")
    assert machine["--metadata"] == "enable-oslogin=TRUE"
    assert {"--shielded-secure-boot", "--shielded-vtpm", "--shielded-integrity-monitoring"} <= set(machine)
    assert machine["--service-account"] == "yolov5-vm@my-project.iam.gserviceaccount.com"
    assert machine["--scopes"] == "storage-ro"
    account = f"serviceAccount:{machine['--service-account']}"
    assert rented.cloud["bindings"] == [["yolov5-torchserve", account, "roles/artifactregistry.reader"]]
    assert machine["--subnet"] == "yolov5"
    assert rented.cloud["compute networks"]["yolov5"]["--subnet-mode"] == "custom"
    assert rented.cloud["compute networks subnets"]["yolov5"]["--network"] == "yolov5"
    (guard,) = (rented.folder / "units").rglob("*.conf")
    assert "-d 169.254.169.254 -p tcp ! --dport 53 -j REJECT" in guard.read_text()


@pytest.mark.parametrize(("kind", "disk"), [("c3-highcpu-8", "pd-balanced"), ("c4-standard-8", "hyperdisk-balanced")])
def test_a_disk_suits_its_machine(rig: Rig, kind: str, disk: str) -> None:
    rig.up(MACHINE_TYPE=kind, DISK_GB="80")
    machine = rig.cloud["compute instances"]["yolov5"]
    assert (machine["--machine-type"], machine["--boot-disk-type"], machine["--boot-disk-size"]) == (kind, disk, "80GB")


def rules(rig: Rig) -> dict[str, tuple[str, ...]]:
    wanted = ("--direction", "--allow", "--source-ranges", "--target-tags", "--network")
    return {name: tuple(rule[flag] for flag in wanted) for name, rule in rig.cloud["compute firewall-rules"].items()}


def test_the_page_is_open_to_the_caller_and_ssh_to_googles_proxy_and_nothing_else(rented: Rig) -> None:
    assert rules(rented) == {
        "yolov5-ssh": ("INGRESS", "tcp:22", "35.235.240.0/20", "yolov5", "yolov5"),
        "yolov5-page": ("INGRESS", "tcp:8501", "203.0.113.7/32", "yolov5", "yolov5"),
    }
    assert rented.cloud["compute instances"]["yolov5"]["--tags"] == "yolov5"


def test_the_firewall_follows_the_caller(rented: Rig) -> None:
    rented.arrange(address="203.0.113.99")
    rented.up()
    changes = [change for change in rented.changes() if "firewall" in change]
    assert [(c.split()[3:5], flags_of(c)["--source-ranges"]) for c in changes] == [
        (["update", "yolov5-page"], "203.0.113.99/32")
    ]
    rented.up(SOURCE_RANGES="198.51.100.0/24,192.0.2.1/32")
    assert rules(rented)["yolov5-page"][2] == "198.51.100.0/24,192.0.2.1/32"
    rented.calls()
    rented.up(SOURCE_RANGES="192.0.2.1/32,198.51.100.0/24")
    assert not [change for change in rented.changes() if "firewall" in change]
    assert "checkip" not in str(rented.calls())


def test_the_page_can_be_open_to_nobody(rig: Rig) -> None:
    done = rig.up(SOURCE_RANGES="none")
    assert set(rules(rig)) == {"yolov5-ssh"}
    assert done.stdout.startswith("gcloud compute ssh yolov5 ")
    rig.up()
    assert "yolov5-page" in rules(rig)
    rig.up(SOURCE_RANGES="none")
    assert set(rules(rig)) == {"yolov5-ssh"}


def test_everybody_is_let_in_only_loudly(rig: Rig) -> None:
    assert "EVERYBODY" in rig.up(SOURCE_RANGES="0.0.0.0/0").stderr
    assert "EVERYBODY" not in rig.up().stderr
