"""Stand-ins for the programs that deploy/gcp calls. They record each call, and do a small part of the real work.

They are one file with many names, first on PATH. gcloud is in cloud.py; the others are here: docker and curl, on both
sides, and the programs of the rented machine. The calls are recorded in calls.jsonl.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from support.gcp.cloud import FOLDER, Cloud, gcloud, load, save
from support.gcp.grammar import refuse

ON_MACHINE = "STANDIN_MACHINE" in os.environ
TOKEN = "token-of-the-machine"


def main() -> None:
    """Record the call, fail if a test wants it to, else run it."""
    program, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with (FOLDER / "calls.jsonl").open("a") as file:
        file.write(json.dumps({"program": program, "arguments": arguments, "on_machine": ON_MACHINE}) + "\n")
    cloud = load()
    command = " ".join([program, *arguments])
    for beginning, message in cloud["fail"].items():
        if command.startswith(beginning):
            refuse(message)
    PROGRAMS[program](arguments, cloud)
    save(cloud)


def docker(arguments: list[str], cloud: Cloud) -> None:
    """The command line of Docker, on the caller's computer or the machine."""
    if ON_MACHINE and not cloud["installed"]:
        refuse("docker: command not found", 127)
    if not ON_MACHINE and not cloud["engine"]:
        refuse("Cannot connect to the Docker daemon")
    verbs = {"build": build, "push": push, "login": login, "pull": pull, "compose": compose, "inspect": inspect}
    if arguments != ["info"]:
        verbs[arguments[0]](arguments[1:], cloud)


def build(arguments: list[str], cloud: Cloud) -> None:
    """Record the arguments of a build."""
    flags: dict[str, list[str]] = {}
    *pairs, context = arguments
    for flag, value in zip(pairs[::2], pairs[1::2], strict=True):
        flags.setdefault(flag, []).append(value)
    if unknown := set(flags) - {"--platform", "--file", "--build-arg", "--tag"}:
        refuse(f"unknown flag: {unknown}", 125)
    if not Path(context, flags["--file"][0]).is_file():
        refuse(f"failed to read dockerfile {flags['--file'][0]}")
    cloud["built"][flags["--tag"][0]] = {
        "platform": flags["--platform"][0],
        "file": flags["--file"][0],
        "arguments": dict(argument.split("=", 1) for argument in flags.get("--build-arg", [])),
        "context": str(Path(context).resolve()),
    }


def push(arguments: list[str], cloud: Cloud) -> None:
    """Push a built image to an existing repository that docker is logged in to."""
    (image,) = arguments
    host, _, repository = image.split("/")[:3]
    if image not in cloud["built"]:
        refuse(f"An image does not exist locally with the tag: {image}")
    if host not in cloud["hosts"] or repository not in cloud["artifacts repositories"]:
        refuse("denied: Permission denied for resource")
    cloud["images"].append(image)


def credentials() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG", FOLDER / "home")) / "config.json"


def login(arguments: list[str], cloud: Cloud) -> None:
    """Log in with the machine's token, which must be the input."""
    if arguments[:3] != ["--username", "oauth2accesstoken", "--password-stdin"] or sys.stdin.read().strip() != TOKEN:
        refuse("unauthorized")
    credentials().write_text(json.dumps({"auths": {arguments[3]: {}}}))


def pull(arguments: list[str], cloud: Cloud) -> None:
    """Pull a pushed image, with a login, on a machine whose account may read it."""
    image = arguments[-1]
    host, _, repository = image.split("/")[:3]
    (machine,) = cloud["compute instances"].values()
    grant = [repository, f"serviceAccount:{machine['--service-account']}", "roles/artifactregistry.reader"]
    if not credentials().is_file() or f"https://{host}" not in json.loads(credentials().read_text())["auths"]:
        refuse("unauthorized: no login")
    if grant not in cloud["bindings"] or machine["--scopes"] != "storage-ro":
        refuse("denied: Permission artifactregistry.repositories.downloadArtifacts denied")
    if image not in cloud["images"]:
        refuse("manifest unknown")
    cloud["pulled"].append(image)


def compose(arguments: list[str], cloud: Cloud) -> None:
    """Run compose in the folder of its files."""
    if arguments[0] == "up":
        settings = dict(line.split("=", 1) for line in Path(".env").read_text().splitlines())
        for name in settings["COMPOSE_FILE"].split(":"):
            if not Path(name).is_file():
                refuse(f"open {name}: no such file or directory")
    elif arguments[:2] == ["ps", "--quiet"]:
        print(arguments[2])
    elif arguments != ["version"]:
        print(f"output of compose {arguments}")


def inspect(arguments: list[str], cloud: Cloud) -> None:
    """Print the health of a container, whose id is the name of its service here."""
    print(cloud["health"][arguments[-1]])


def curl(arguments: list[str], cloud: Cloud) -> None:
    """Print the answer of an address."""
    address = next(argument for argument in arguments if argument.startswith("http"))
    if address == "https://checkip.amazonaws.com" and "-4fsS" in arguments:
        print(cloud["address"])
    elif address == "http://198.51.100.9:8501/_stcore/health":
        if not cloud["page"]:
            refuse("Connection timed out", 28)
    elif ON_MACHINE and "Metadata-Flavor: Google" in arguments and address.startswith("http://169.254.169.254/"):
        token = json.dumps({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})
        print({"token": token, "ip": "10.85.0.2"}[address.rpartition("/")[2]])
    else:
        refuse(f"Could not resolve {address}", 6)


def sudo(arguments: list[str], cloud: Cloud) -> None:
    """Run the command as the current user, except chown, which only root may do."""
    if arguments[0] != "chown":
        os.execvp(arguments[0], arguments)


def apt_get(arguments: list[str], cloud: Cloud) -> None:
    """Install Debian's packages."""
    if "install" in arguments:
        cloud["installed"] = {"docker.io", "docker-cli", "docker-compose"} <= set(arguments)


def do_nothing(arguments: list[str], cloud: Cloud) -> None:
    """Only record the call."""


PROGRAMS: dict[str, Any] = {
    "gcloud": gcloud,
    "docker": docker,
    "curl": curl,
    "sudo": sudo,
    "apt-get": apt_get,
    "systemctl": do_nothing,
}

if __name__ == "__main__":
    main()
