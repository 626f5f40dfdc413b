"""Dry runs, repeated runs, deletion and error messages of deploy/gcp."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from support.gcp.cloud import KINDS, empty_cloud
from support.gcp.recording import ALL_SETTINGS, GCP, PAGE, StandIns, after_up, created, project

__all__ = ["after_up", "created", "project"]


def test_a_dry_run_changes_nothing(project: StandIns) -> None:
    before = project.cloud
    project.up("--dry-run")
    assert project.cloud == before
    assert not project.machine.exists()
    assert not project.changes()
    project.up()
    project.calls()
    before = project.cloud
    project.down("--all", "--dry-run")
    assert project.cloud == before
    assert not project.changes()


def commands(printed: str) -> list[str]:
    """The command of each printed line that the stand-ins record, without the source of its input."""
    lines = []
    for line in printed.splitlines():
        if not line.startswith(("#", "cd ")):
            words = shlex.split(line)
            if "|" in words:
                words = words[words.index("|") + 1 :]
            lines.append(" ".join(words[: words.index("<")] if "<" in words else words))
    return lines


@pytest.mark.parametrize("again", [False, True])
def test_a_dry_run_prints_the_commands_of_a_run(project: StandIns, again: bool) -> None:
    if again:
        project.up(**ALL_SETTINGS)
        project.arrange(address="203.0.113.99")
        project.calls()
    printed = project.up("--dry-run", **ALL_SETTINGS).stdout
    project.calls()
    project.up(**ALL_SETTINGS)
    assert commands(printed) == project.changes()
    printed = project.down("--dry-run", "--all").stdout
    project.calls()
    project.down("--yes", "--all")
    assert commands(printed) == project.changes()


def test_the_output_of_a_dry_run_is_a_script_with_the_same_result(project: StandIns) -> None:
    printed = project.up("--dry-run", **ALL_SETTINGS).stdout
    script = project.run("bash", "-e", text=printed)
    assert script.returncode == 0, script.stderr
    by_script, files = project.cloud, sorted(path.name for path in project.machine.rglob("*"))
    project.down("--yes", "--all")
    project.arrange(**empty_cloud())
    project.run("rm", "-rf", str(project.machine))
    project.up(**ALL_SETTINGS)
    assert project.cloud == by_script
    assert sorted(path.name for path in project.machine.rglob("*")) == files


def test_down_deletes_everything_except_the_images(created: StandIns) -> None:
    made = created.resources()
    assert set(made) == set(KINDS)
    created.calls()
    messages = created.down("--yes").stderr
    assert created.resources() == {"artifacts repositories": {"yolov5-torchserve"}}
    assert created.cloud["bindings"] == []
    assert "--all" in messages
    assert created.changes()[0].startswith("gcloud compute instances delete yolov5 --zone=us-central1-a ")
    assert len(created.cloud["images"]) == 3
    created.down("--yes", "--all")
    assert created.resources() == {}


def test_a_missing_resource_is_not_deleted_again(project: StandIns) -> None:
    assert "my-project has no resources that up created as yolov5" in project.down().stderr
    project.up()
    project.down("--yes", "--all")
    project.calls()
    assert "has no resources that up created" in project.down("--all").stderr
    assert project.changes() == []


def test_down_continues_after_a_failure(created: StandIns) -> None:
    created.arrange(fail={"gcloud compute networks delete": "it is in use"})
    assert "this command failed, so the next ones were not run: gcloud compute networks delete" in created.fails(
        "down", "--yes"
    )
    created.arrange(fail={})
    created.down("--yes", "--all")
    assert created.resources() == {}


def test_up_creates_again_what_down_deleted(created: StandIns) -> None:
    made = created.resources()
    created.down("--yes")
    created.calls()
    assert created.up().stdout == PAGE
    assert created.resources() == made
    assert not [change for change in created.changes() if change.startswith("docker")]


@pytest.mark.parametrize("answer", ["", "no\n", "y\n"])
def test_down_asks_and_deletes_only_after_yes(created: StandIns, answer: str) -> None:
    before = created.cloud
    done = created.run(str(GCP / "down"), text=answer)
    assert done.returncode == 1
    assert "machine yolov5 in us-central1-a, with its disk" in done.stderr
    assert created.cloud == before
    created.down(text="yes\n")
    assert set(created.resources()) == {"artifacts repositories"}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_resource_of_others_is_neither_used_nor_deleted(created: StandIns, kind: str) -> None:
    names = {name: {**made, "--description": "theirs"} for name, made in created.cloud[kind].items()}
    created.arrange(**{kind: names})
    if kind == "artifacts repositories":  # up may use a repository of others
        created.up()
    else:
        created.calls()
        assert "was not created by up; set NAME to another name" in created.fails("up")
        assert not [change for change in created.changes() if " create " in change]
    created.run(str(GCP / "down"), "--yes", "--all")
    assert set(created.cloud[kind]) == set(names)


def test_a_stopped_machine_is_started(created: StandIns) -> None:
    machine = created.cloud["compute instances"]["yolov5"]
    for status, verb in (("TERMINATED", "start"), ("SUSPENDED", "resume")):
        created.arrange(**{"compute instances": {"yolov5": {**machine, "status": status}}})
        created.calls()
        assert created.up().stdout == PAGE
        assert created.changes()[0].startswith(f"gcloud compute instances {verb} yolov5 ")


def test_a_machine_keeps_its_type_and_zone(created: StandIns) -> None:
    assert "yolov5 is a c3-standard-4 and is not changed" in created.up(MACHINE_TYPE="c3-standard-8").stderr
    created.calls()
    for command in ("up", "down"):
        assert "but not in europe-west1-b; set ZONE to its zone" in created.fails(command, ZONE="europe-west1-b")
    assert created.changes() == []


def test_the_project_is_gclouds_unless_it_is_given(project: StandIns) -> None:
    assert "no project: set PROJECT" in project.fails("up", PROJECT="")
    assert "no project: set PROJECT" in project.fails("down", PROJECT="")
    project.up(PROJECT="", CONFIGURED_PROJECT="another-one")
    assert "yolov5-vm@another-one.iam.gserviceaccount.com" in project.cloud["iam service-accounts"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account": ""}, "you are not logged in; run: gcloud auth login"),
        ({"engine": False}, "the Docker engine does not answer"),
        ({"fail": {"gcloud services list": "403"}}, "the services of project my-project could not be listed"),
        ({"fail": {"gcloud compute networks list": "503"}}, "the existing resources could not be listed"),
        ({"fail": {"curl": "no route"}}, "your public address was not found; set CALLER_ADDRESS"),
        ({"address": "2001:db8::7"}, "CALLER_ADDRESS is '2001:db8::7'; expected an IPv4 address"),
        ({"fail": {"docker push": "denied"}}, "this command failed, so the next ones were not run: docker push"),
    ],
)
def test_an_error_is_reported(project: StandIns, changes: dict[str, object], message: str) -> None:
    project.arrange(**changes)
    assert message in project.fails("up")


def test_up_stops_at_a_failed_command(project: StandIns) -> None:
    project.arrange(fail={"gcloud compute networks create": "Quota 'NETWORKS' exceeded"})
    messages = project.fails("up").splitlines()
    assert "Quota 'NETWORKS' exceeded" in messages[-2]
    assert "this command failed, so the next ones were not run: gcloud compute networks create yolov5" in messages[-1]
    assert project.changes()[-1].startswith("gcloud compute networks create")
    project.arrange(fail={})
    assert project.up().stdout == PAGE


@pytest.mark.parametrize("program", ["gcloud", "docker", "curl"])
def test_a_program_that_is_missing_is_named(project: StandIns, program: str) -> None:
    (project.bin / program).unlink()
    for tool in ("bash", "env", "dirname", "tr", "grep", "sort", "paste", "tar"):
        (project.bin / tool).symlink_to(shutil.which(tool) or tool)
    assert f"{program} was not found; " in project.fails("up", PATH=str(project.bin))


def test_the_wait_for_ssh_has_a_limit(project: StandIns) -> None:
    project.arrange(fail={"gcloud compute ssh": "Connection timed out"})
    script = (GCP / "remote.sh").read_text()
    assert "run_until 300 " in script
    done = project.run("bash", "-c", f"source {GCP}/commands.sh; run_until 0 gcloud compute ssh x; echo reached")
    assert done.returncode == 1
    assert "this command did not succeed within 0 s: gcloud compute ssh x" in done.stderr
    assert "reached" not in done.stdout


def test_a_page_that_does_not_answer_is_reported(project: StandIns) -> None:
    project.arrange(page=False)
    done = project.up(SOURCE_RANGES="192.0.2.0/24")
    assert done.stdout == PAGE
    assert "its page does not answer from here; it is open only to 192.0.2.0/24" in done.stderr


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
def test_an_invalid_setting_is_named_before_anything_is_changed(project: StandIns, name: str, value: str) -> None:
    messages = project.fails("up", **{name: value})
    assert re.search(rf"{'CALIBRATION_DIR' if value == 'int8' else name} (is|has) '", messages)
    assert project.changes() == []


@pytest.mark.parametrize("command", ["up", "down"])
def test_an_unknown_option_is_refused(project: StandIns, command: str) -> None:
    assert "unknown option --dryrun" in project.fails(command, "--dryrun")
    assert project.calls() == []
