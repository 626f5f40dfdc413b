"""The stand-in of a Google Cloud project: the answers of `gcloud` in recorded_programs.py.

It keeps its resources in cloud.json, and refuses commands, flags and orders that Google refuses. "ssh" runs its
commands in a folder that takes the place of the machine's /opt/yolov5.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.gcp.grammar import Flags, parse, refuse

FOLDER = Path(os.environ.get("STANDIN_FOLDER", "."))
Cloud = dict[str, Any]
Command = Callable[[list[str], Flags, Cloud], None]

# The kinds of resources in cloud.json, and their services.
KINDS = {
    "artifacts repositories": "artifactregistry",
    "iam service-accounts": "iam",
    "compute networks": "compute",
    "compute networks subnets": "compute",
    "compute firewall-rules": "compute",
    "compute instances": "compute",
}


def empty_cloud() -> Cloud:
    """A project without resources, whose user has the address 203.0.113.7."""
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
    """Read the state of the project."""
    content: Cloud = json.loads((FOLDER / "cloud.json").read_text())
    return content


def save(cloud: Cloud) -> None:
    """Write the state of the project."""
    (FOLDER / "cloud.json").write_text(json.dumps(cloud, indent=1))


def gcloud(arguments: list[str], cloud: Cloud) -> None:
    """The command line of Google Cloud."""
    command, names, flags = parse(arguments)
    kind, _, verb = command.rpartition(" ")
    if kind in KINDS:
        if KINDS[kind] not in cloud["services"]:
            refuse(f"API [{KINDS[kind]}.googleapis.com] not enabled on project [{flags['--project']}]")
        resource(kind, verb, names, flags, cloud)
    else:
        OTHERS[command](names, flags, cloud)


def resource(kind: str, verb: str, names: list[str], flags: Flags, cloud: Cloud) -> None:
    """List, describe, create, change or delete a resource."""
    existing = cloud[kind]
    if verb == "list":
        expect_format(flags, "value(name.basename(),description)")
        for name, made in existing.items():
            if flags.get("--regions", made.get("--region")) == made.get("--region"):
                print(name, made.get("--description", ""), sep="\t")
        return
    name = names[0]
    if verb == "create":
        if kind == "iam service-accounts":
            name = f"{name}@{flags['--project']}.iam.gserviceaccount.com"
        if name in existing:
            refuse(f"The resource '{name}' already exists")
        for flag, needs in (("--network", "compute networks"), ("--subnet", "compute networks subnets")):
            if flag in flags and flags[flag] not in cloud[needs]:
                refuse(f"The resource '{flags[flag]}' was not found")
        if flags.get("--service-account", "") not in ["", *cloud["iam service-accounts"]]:
            refuse(f"The service account '{flags['--service-account']}' was not found")
        existing[name] = {**flags, **({"status": "RUNNING"} if kind == "compute instances" else {})}
        return
    if name not in existing or existing[name].get("--zone") != flags.get("--zone"):
        refuse(f"The resource '{name}' was not found")
    CHANGES[verb](kind, name, flags, cloud)


def expect_format(flags: Flags, expected: str) -> None:
    """Refuse every other format: the stand-in has only one."""
    if flags.get("--format") != expected:
        refuse(f"the stand-in prints {expected} and not {flags.get('--format')}")


def delete(kind: str, name: str, flags: Flags, cloud: Cloud) -> None:
    """Delete a resource that no other one uses."""
    for flag, needed in (("--network", "compute networks"), ("--subnet", "compute networks subnets")):
        for others in list(KINDS) if kind == needed else []:
            for other, made in cloud[others].items():
                if made.get(flag) == name:
                    refuse(f"The resource '{name}' is already being used by '{other}'")
    del cloud[kind][name]
    if kind == "artifacts repositories":
        cloud["bindings"] = [binding for binding in cloud["bindings"] if binding[0] != name]
        cloud["images"] = [image for image in cloud["images"] if image.split("/")[2] != name]


def describe(kind: str, name: str, flags: Flags, cloud: Cloud) -> None:
    """Print the requested field."""
    made = cloud[kind][name]
    fields = {
        "value(sourceRanges.list())": made.get("--source-ranges"),
        "value(status,machineType.basename())": f"{made.get('status')}\t{made.get('--machine-type')}",
        "value(networkInterfaces[0].accessConfigs[0].natIP)": "198.51.100.9",
    }
    if flags.get("--format") not in fields:
        refuse(f"the stand-in does not know {flags.get('--format')}")
    print(fields[flags["--format"]])


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
    """The roles on a repository."""
    expect_format(flags, "value(bindings.role,bindings.members)")
    for repository, member, role in cloud["bindings"]:
        if repository == names[0]:
            print(role, member, sep="\t")


def ssh(names: list[str], flags: Flags, cloud: Cloud) -> None:
    """Run a command in the folder that takes the place of the machine."""
    machine = cloud["compute instances"].get(names[0])
    rule = cloud["compute firewall-rules"].get(f"{names[0]}-ssh", {})
    if not machine or machine["status"] != "RUNNING" or machine["--zone"] != flags["--zone"]:
        refuse("Could not fetch resource", 1)
    if "--tunnel-through-iap" not in flags or rule.get("--source-ranges") != "35.235.240.0/20":
        refuse("Connection timed out", 255)
    import socket
    import subprocess  # here, because few of the many calls need them

    folder = FOLDER / "machine"
    folder.mkdir(exist_ok=True)
    command = flags["--command"].replace("/opt/yolov5", str(folder))
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
    os._exit(process.returncode)  # without save(): the command may have changed the state


def one_line(format: str, text: Callable[[Cloud], str]) -> Command:
    """A command that prints a text in one format."""

    def command(names: list[str], flags: Flags, cloud: Cloud) -> None:
        expect_format(flags, format)
        print(text(cloud))

    return command


def images_describe(names: list[str], flags: Flags, cloud: Cloud) -> None:
    """Describe an existing image."""
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
