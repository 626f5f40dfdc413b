"""Dry runs of deploy/gcp, what it does again and what it undoes, and what it says where something is wrong."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from support.gcp.cloud import KINDS, empty_cloud
from support.gcp.recording import FULL, GCP, PAGE, Rig, after_up, rented, rig

__all__ = ["after_up", "rented", "rig"]


def test_a_dry_run_changes_nothing_and_asks_only(rig: Rig) -> None:
    before = rig.cloud
    rig.up("--dry-run")
    assert rig.cloud == before
    assert not rig.machine.exists()
    assert not rig.changes()
    rig.up()
    rig.calls()
    before = rig.cloud
    rig.down("--all", "--dry-run")
    assert rig.cloud == before
    assert not rig.changes()


def commands(printed: str) -> list[str]:
    """Of each printed line the command that the stand-ins see: with input from another or a file, or without."""
    found = []
    for line in printed.splitlines():
        if not line.startswith(("#", "cd ")):
            words = shlex.split(line)
            if "|" in words:
                words = words[words.index("|") + 1 :]
            found.append(" ".join(words[: words.index("<")] if "<" in words else words))
    return found


@pytest.mark.parametrize("again", [False, True])
def test_a_dry_run_prints_what_a_run_then_runs(rig: Rig, again: bool) -> None:
    if again:
        rig.up(**FULL)
        rig.arrange(address="203.0.113.99")
        rig.calls()
    printed = rig.up("--dry-run", **FULL).stdout
    rig.calls()
    rig.up(**FULL)
    assert commands(printed) == rig.changes()
    printed = rig.down("--dry-run", "--all").stdout
    rig.calls()
    rig.down("--yes", "--all")
    assert commands(printed) == rig.changes()


def test_what_a_dry_run_prints_is_a_script_that_does_the_same(rig: Rig) -> None:
    printed = rig.up("--dry-run", **FULL).stdout
    script = rig.run("bash", "-e", text=printed)
    assert script.returncode == 0, script.stderr
    by_script, files = rig.cloud, sorted(path.name for path in rig.machine.rglob("*"))
    rig.down("--yes", "--all")
    rig.arrange(**empty_cloud())
    rig.run("rm", "-rf", str(rig.machine))
    rig.up(**FULL)
    assert rig.cloud == by_script
    assert sorted(path.name for path in rig.machine.rglob("*")) == files


def test_down_deletes_all_that_up_made_but_the_images(rented: Rig) -> None:
    made = rented.resources()
    assert set(made) == set(KINDS)
    rented.calls()
    told = rented.down("--yes").stderr
    assert rented.resources() == {"artifacts repositories": {"yolov5-torchserve"}}
    assert rented.cloud["bindings"] == []
    assert "--all" in told
    assert rented.changes()[0].startswith("gcloud compute instances delete yolov5 --zone=us-central1-a ")
    assert len(rented.cloud["images"]) == 3
    rented.down("--yes", "--all")
    assert rented.resources() == {}


def test_what_is_gone_is_not_deleted_again(rig: Rig) -> None:
    assert "nothing that up made as yolov5 is left in my-project" in rig.down().stderr
    rig.up()
    rig.down("--yes", "--all")
    rig.calls()
    assert "nothing that up made" in rig.down("--all").stderr
    assert rig.changes() == []


def test_down_goes_on_where_it_was_stopped(rented: Rig) -> None:
    rented.arrange(fail={"gcloud compute networks delete": "it is in use"})
    assert "this failed, and what comes after it was not begun: gcloud compute networks delete" in rented.fails(
        "down", "--yes"
    )
    rented.arrange(fail={})
    rented.down("--yes", "--all")
    assert rented.resources() == {}


def test_up_makes_anew_what_down_deleted(rented: Rig) -> None:
    made = rented.resources()
    rented.down("--yes")
    rented.calls()
    assert rented.up().stdout == PAGE
    assert rented.resources() == made
    assert not [change for change in rented.changes() if change.startswith("docker")]


@pytest.mark.parametrize("answer", ["", "no\n", "y\n"])
def test_down_asks_and_deletes_for_a_yes_only(rented: Rig, answer: str) -> None:
    before = rented.cloud
    done = rented.run(str(GCP / "down"), text=answer)
    assert done.returncode == 1
    assert "machine yolov5 in us-central1-a, with its disk" in done.stderr
    assert rented.cloud == before
    rented.down(text="yes\n")
    assert set(rented.resources()) == {"artifacts repositories"}


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_others_made_is_neither_used_nor_deleted(rented: Rig, kind: str) -> None:
    names = {name: {**made, "--description": "theirs"} for name, made in rented.cloud[kind].items()}
    rented.arrange(**{kind: names})
    if kind == "artifacts repositories":  # images may go to a repository that others share
        rented.up()
    else:
        rented.calls()
        assert "was not made by up; set NAME to another name" in rented.fails("up")
        assert not [change for change in rented.changes() if " create " in change]
    rented.run(str(GCP / "down"), "--yes", "--all")
    assert set(rented.cloud[kind]) == set(names)


def test_a_stopped_machine_is_started(rented: Rig) -> None:
    machine = rented.cloud["compute instances"]["yolov5"]
    for status, verb in (("TERMINATED", "start"), ("SUSPENDED", "resume")):
        rented.arrange(**{"compute instances": {"yolov5": {**machine, "status": status}}})
        rented.calls()
        assert rented.up().stdout == PAGE
        assert rented.changes()[0].startswith(f"gcloud compute instances {verb} yolov5 ")


def test_a_machine_keeps_its_type_and_zone(rented: Rig) -> None:
    assert "yolov5 is a c3-standard-4 and stays one" in rented.up(MACHINE_TYPE="c3-standard-8").stderr
    rented.calls()
    for command in ("up", "down"):
        assert "but not in europe-west1-b; set ZONE to where it is" in rented.fails(command, ZONE="europe-west1-b")
    assert rented.changes() == []


def test_the_project_is_gclouds_unless_it_is_given(rig: Rig) -> None:
    assert "no project: set PROJECT" in rig.fails("up", PROJECT="")
    assert "no project: set PROJECT" in rig.fails("down", PROJECT="")
    rig.up(PROJECT="", CONFIGURED_PROJECT="another-one")
    assert "yolov5-vm@another-one.iam.gserviceaccount.com" in rig.cloud["iam service-accounts"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account": ""}, "nobody is logged in; run: gcloud auth login"),
        ({"engine": False}, "the Docker engine does not answer"),
        ({"fail": {"gcloud services list": "403"}}, "project my-project cannot be asked"),
        ({"fail": {"gcloud compute networks list": "503"}}, "what is there could not be listed"),
        ({"fail": {"curl": "no route"}}, "your public address could not be found out; set CALLER_ADDRESS"),
        ({"address": "2001:db8::7"}, "CALLER_ADDRESS is '2001:db8::7'; expected an IPv4 address"),
        ({"fail": {"docker push": "denied"}}, "this failed, and what comes after it was not begun: docker push"),
    ],
)
def test_what_is_wrong_is_said(rig: Rig, changes: dict[str, object], message: str) -> None:
    rig.arrange(**changes)
    assert message in rig.fails("up")


def test_a_create_that_fails_is_the_last_thing_done(rig: Rig) -> None:
    rig.arrange(fail={"gcloud compute networks create": "Quota 'NETWORKS' exceeded"})
    told = rig.fails("up").splitlines()
    assert "Quota 'NETWORKS' exceeded" in told[-2]
    assert "this failed, and what comes after it was not begun: gcloud compute networks create yolov5" in told[-1]
    assert rig.changes()[-1].startswith("gcloud compute networks create")
    rig.arrange(fail={})
    assert rig.up().stdout == PAGE


@pytest.mark.parametrize("program", ["gcloud", "docker", "curl"])
def test_a_program_that_is_missing_is_named(rig: Rig, program: str) -> None:
    (rig.bin / program).unlink()
    for tool in ("bash", "env", "dirname", "tr", "grep", "sort", "paste", "tar"):
        (rig.bin / tool).symlink_to(shutil.which(tool) or tool)
    assert f"{program} was not found; " in rig.fails("up", PATH=str(rig.bin))


def test_ssh_that_is_never_answered_is_given_up(rig: Rig) -> None:
    rig.arrange(fail={"gcloud compute ssh": "Connection timed out"})
    script = (GCP / "remote.sh").read_text()
    assert "run_until 300 " in script
    done = rig.run("bash", "-c", f"source {GCP}/commands.sh; run_until 0 gcloud compute ssh x; echo reached")
    assert done.returncode == 1
    assert "this did not succeed within 0 s: gcloud compute ssh x" in done.stderr
    assert "reached" not in done.stdout


def test_a_page_that_does_not_answer_from_here_is_told(rig: Rig) -> None:
    rig.arrange(page=False)
    done = rig.up(SOURCE_RANGES="192.0.2.0/24")
    assert done.stdout == PAGE
    assert "its page does not answer from here; it is open to 192.0.2.0/24 alone" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROJECT", "My Project"), ("ZONE", "us-central1"), ("NAME", "Y"), ("NAME", "a" * 25), ("VERSION", "1 0"),
        ("REPOSITORY", "a_b"), ("MODELS", "a, b"), ("MODELS", "a;b"), ("PRECISION", "int4"), ("DISK_GB", "50GB"),
        ("MACHINE_TYPE", "c4a-standard-4"), ("FORCE", "yes"), ("READY_SECONDS", "-1"), ("PRECISION", "int8"),
        ("CALIBRATION_DIR", "nowhere"), ("WEIGHTS_DIR", "nowhere"), ("OPERATOR_PASSWORD_FILE", "nowhere"),
        ("SOURCE_RANGES", "203.0.113.7"), ("SOURCE_RANGES", "256.0.0.1/32"), ("SOURCE_RANGES", "192.0.2.0/24,"),
        ("CALLER_ADDRESS", "localhost"), ("WORKERS_PER_MODEL", "1\nB=2"), ("UI_MEMORY", "$(id)"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_before_anything_is_done(rig: Rig, name: str, value: str) -> None:
    told = rig.fails("up", **{name: value})
    assert re.search(rf"{'CALIBRATION_DIR' if value == 'int8' else name} (is|has) '", told)
    assert rig.changes() == []


@pytest.mark.parametrize("command", ["up", "down"])
def test_an_unknown_option_is_refused(rig: Rig, command: str) -> None:
    assert "--dryrun is not known" in rig.fails(command, "--dryrun")
    assert rig.calls() == []
