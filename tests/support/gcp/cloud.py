"""A Google Cloud project that stands in for a real one: what `gcloud` of recorded_programs.py answers.

It keeps in cloud.json which resources there are, and refuses commands, flags and orders that the real one refuses. Over
"ssh" it does what it is told to do, in a folder that stands for the machine's /opt/yolov5.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.gcp.grammar import Flags, parsed, refuse

FOLDER = Path(os.environ.get("STANDIN_FOLDER", "."))
Cloud = dict[str, Any]
Command = Callable[[list[str], Flags, Cloud], None]

# What stands under which name in cloud.json, and of which service it is.
KINDS = {
    "artifacts repositories": "artifactregistry",
    "iam service-accounts": "iam",
    "compute networks": "compute",
    "compute networks subnets": "compute",
    "compute firewall-rules": "compute",
    "compute instances": "compute",
}


def empty_cloud() -> Cloud:
    """A project in which nothing was made yet, asked from 203.0.113.7."""
    return {
        "services": [],
        "bindings": [],
        "hosts": [],
        "built": {},
        "images": [],
        "pulled": [],
        "installed": False,
        "account": "someone@example.org",
        "address": "203.0.113.7",
        "engine": True,
        "page": True,
        "health": {"torchserve": "healthy", "ui": "healthy"},
        "fail": {},
        **{kind: {} for kind in KINDS},
    }


def load() -> Cloud:
    """What there is."""
    content: Cloud = json.loads((FOLDER / "cloud.json").read_text())
    return content


def save(cloud: Cloud) -> None:
    """Remember what there is."""
    (FOLDER / "cloud.json").write_text(json.dumps(cloud, indent=1))


def gcloud(words: list[str], cloud: Cloud) -> None:
    """Google's command line."""
    command, names, flags = parsed(words)
    kind, _, verb = command.rpartition(" ")
    if kind in KINDS:
        if KINDS[kind] not in cloud["services"]:
            refuse(f"API [{KINDS[kind]}.googleapis.com] not enabled on project [{flags['--project']}]")
        resource(kind, verb, names, flags, cloud)
    else:
        OTHERS[command](names, flags, cloud)


def resource(kind: str, verb: str, names: list[str], flags: Flags, cloud: Cloud) -> None:
    """List, describe, create, change or delete a resource."""
    there = cloud[kind]
    if verb == "list":
        expect_format(flags, "value(name.basename(),description)")
        for name, made in there.items():
            if flags.get("--regions", made.get("--region")) == made.get("--region"):
                print(name, made.get("--description", ""), sep="\t")
        return
    name = names[0]
    if verb == "create":
        if kind == "iam service-accounts":
            name = f"{name}@{flags['--project']}.iam.gserviceaccount.com"
        if name in there:
            refuse(f"The resource '{name}' already exists")
        for flag, needs in (("--network", "compute networks"), ("--subnet", "compute networks subnets")):
            if flag in flags and flags[flag] not in cloud[needs]:
                refuse(f"The resource '{flags[flag]}' was not found")
        if flags.get("--service-account", "") not in ["", *cloud["iam service-accounts"]]:
            refuse(f"The service account '{flags['--service-account']}' was not found")
        there[name] = {**flags, **({"status": "RUNNING"} if kind == "compute instances" else {})}
        return
    if name not in there or there[name].get("--zone") != flags.get("--zone"):
        refuse(f"The resource '{name}' was not found")
    CHANGES[verb](kind, name, flags, cloud)


def expect_format(flags: Flags, expected: str) -> None:
    """The stand-in prints one thing; whoever asks for another would not get it."""
    if flags.get("--format") != expected:
        refuse(f"the stand-in prints {expected} and not {flags.get('--format')}")


def delete(kind: str, name: str, flags: Flags, cloud: Cloud) -> None:
    """Delete what nothing needs any more."""
    for flag, needed in (("--network", "compute networks"), ("--subnet", "compute networks subnets")):
        for others in list(KINDS) if kind == needed else []:
            for other, made in cloud[others].items():
                if made.get(flag) == name:
                    refuse(f"The resource '{name}' is already being used by '{other}'")
    del cloud[kind][name]
    if kind == "artifacts repositories":
        cloud["bindings"] = [each for each in cloud["bindings"] if each[0] != name]
        cloud["images"] = [each for each in cloud["images"] if each.split("/")[2] != name]


def describe(kind: str, name: str, flags: Flags, cloud: Cloud) -> None:
    """Print what is asked for."""
    made = cloud[kind][name]
    told = {
        "value(sourceRanges.list())": made.get("--source-ranges"),
        "value(status,machineType.basename())": f"{made.get('status')}\t{made.get('--machine-type')}",
        "value(networkInterfaces[0].accessConfigs[0].natIP)": "198.51.100.9",
    }
    if flags.get("--format") not in told:
        refuse(f"the stand-in does not know {flags.get('--format')}")
    print(told[flags["--format"]])


def run_machine(kind: str, name: str, flags: Flags, cloud: Cloud) -> None:
    """Start or resume."""
    cloud[kind][name]["status"] = "RUNNING"


def bind(names: list[str], flags: Flags, cloud: Cloud) -> None:
    """Grant a role on a repository."""
    if names[0] not in cloud["artifacts repositories"]:
        refuse("NOT_FOUND: Requested entity was not found.")
    if flags["--member"].removeprefix("serviceAccount:") not in cloud["iam service-accounts"]:
        refuse(f"INVALID_ARGUMENT: Service account {flags['--member']} does not exist.")
    cloud["bindings"].append([names[0], flags["--member"], flags["--role"]])


def print_bindings(names: list[str], flags: Flags, cloud: Cloud) -> None:
    """Who may do what with a repository."""
    expect_format(flags, "value(bindings.role,bindings.members)")
    for repository, member, role in cloud["bindings"]:
        if repository == names[0]:
            print(role, member, sep="\t")


def ssh(names: list[str], flags: Flags, cloud: Cloud) -> None:
    """Do as told in the folder that stands for the machine."""
    machine = cloud["compute instances"].get(names[0])
    rule = cloud["compute firewall-rules"].get(f"{names[0]}-ssh", {})
    if not machine or machine["status"] != "RUNNING" or machine["--zone"] != flags["--zone"]:
        refuse("Could not fetch resource", 1)
    if "--tunnel-through-iap" not in flags or rule.get("--source-ranges") != "35.235.240.0/20":
        refuse("Connection timed out", 255)
    import socket
    import subprocess  # here, because hardly any call needs them, and there are many

    there = FOLDER / "machine"
    there.mkdir(exist_ok=True)
    command = flags["--command"].replace("/opt/yolov5", str(there))
    environment = {**os.environ, "STANDIN_MACHINE": "1", "UNITS": str(FOLDER / "units")}
    # sshd gives a command a socket as its input.
    near, far = socket.socketpair()
    if flags.get("--ssh-flag") == "-n":
        far.close()
    with subprocess.Popen(["bash", "-c", command], env=environment, stdin=near.fileno()) as process:
        near.close()
        if flags.get("--ssh-flag") != "-n":
            with contextlib.suppress(BrokenPipeError):
                far.sendall(sys.stdin.buffer.read())
            far.close()
    os._exit(process.returncode)  # without a word on the cloud: what ran may have changed it


def one_line(format: str, text: Callable[[Cloud], str]) -> Command:
    """A command that prints text in one format."""

    def command(names: list[str], flags: Flags, cloud: Cloud) -> None:
        expect_format(flags, format)
        print(text(cloud))

    return command


def images_describe(names: list[str], flags: Flags, cloud: Cloud) -> None:
    """Only an image that is there is described."""
    if names[0] not in cloud["images"]:
        refuse("NOT_FOUND: image not found")
    print("sha256:0123")


CHANGES: dict[str, Callable[[str, str, Flags, Cloud], None]] = {
    "describe": describe,
    "delete": delete,
    "start": run_machine,
    "resume": run_machine,
    "update": lambda kind, name, flags, cloud: cloud[kind][name].update(flags),
    "get-iam-policy": lambda kind, name, flags, cloud: print_bindings([name], flags, cloud),
    "add-iam-policy-binding": lambda kind, name, flags, cloud: bind([name], flags, cloud),
    "remove-iam-policy-binding": lambda kind, name, flags, cloud: cloud["bindings"].remove(
        [name, flags["--member"], flags["--role"]]
    ),
}
OTHERS: dict[str, Command] = {
    "auth list": one_line("value(account)", lambda cloud: cloud["account"]),
    "auth configure-docker": lambda names, flags, cloud: cloud["hosts"].append(names[0]),
    "config get-value": lambda names, flags, cloud: print(os.environ.get("CONFIGURED_PROJECT", "(unset)")),
    "services list": one_line(
        "value(config.name)", lambda cloud: "\n".join(f"{name}.googleapis.com" for name in cloud["services"])
    ),
    "services enable": lambda names, flags, cloud: cloud["services"].extend(n.split(".")[0] for n in names),
    "artifacts docker images describe": images_describe,
    "compute ssh": ssh,
}
