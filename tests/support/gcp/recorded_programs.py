"""Programs that stand in for those that deploy/gcp calls, note each call, and do a little of what the real ones do.

One file under many names, first on PATH. gcloud is gcloud_cloud.py's; the others are here: docker and curl on both
sides, and what the rented machine has. Calls are noted in calls.jsonl.
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
    """Note the call, fail if this one should, else do it."""
    program, words = Path(sys.argv[0]).name, sys.argv[1:]
    with (FOLDER / "calls.jsonl").open("a") as file:
        file.write(json.dumps({"program": program, "words": words, "on_machine": ON_MACHINE}) + "\n")
    cloud = load()
    spoken = " ".join([program, *words])
    for beginning, message in cloud["fail"].items():
        if spoken.startswith(beginning):
            refuse(message)
    PROGRAMS[program](words, cloud)
    save(cloud)


def docker(words: list[str], cloud: Cloud) -> None:
    """Docker's command line, of the caller or of the machine."""
    if ON_MACHINE and not cloud["installed"]:
        refuse("docker: command not found", 127)
    if not ON_MACHINE and not cloud["engine"]:
        refuse("Cannot connect to the Docker daemon")
    verbs = {"build": build, "push": push, "login": login, "pull": pull, "compose": compose, "inspect": inspect}
    if words != ["info"]:
        verbs[words[0]](words[1:], cloud)


def build(words: list[str], cloud: Cloud) -> None:
    """Note what an image was built from."""
    flags: dict[str, list[str]] = {}
    *pairs, context = words
    for flag, value in zip(pairs[::2], pairs[1::2], strict=True):
        flags.setdefault(flag, []).append(value)
    if unknown := set(flags) - {"--platform", "--file", "--build-arg", "--tag"}:
        refuse(f"unknown flag: {unknown}", 125)
    if not Path(context, flags["--file"][0]).is_file():
        refuse(f"failed to read dockerfile {flags['--file'][0]}")
    cloud["built"][flags["--tag"][0]] = {
        "platform": flags["--platform"][0],
        "file": flags["--file"][0],
        "arguments": dict(each.split("=", 1) for each in flags.get("--build-arg", [])),
        "context": str(Path(context).resolve()),
    }


def push(words: list[str], cloud: Cloud) -> None:
    """Only what was built, to a repository that is there and that docker can log in to."""
    (image,) = words
    host, _, repository = image.split("/")[:3]
    if image not in cloud["built"]:
        refuse(f"An image does not exist locally with the tag: {image}")
    if host not in cloud["hosts"] or repository not in cloud["artifacts repositories"]:
        refuse("denied: Permission denied for resource")
    cloud["images"].append(image)


def credentials() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG", FOLDER / "home")) / "config.json"


def login(words: list[str], cloud: Cloud) -> None:
    """With the machine's token, which must come as input."""
    if words[:3] != ["--username", "oauth2accesstoken", "--password-stdin"] or sys.stdin.read().strip() != TOKEN:
        refuse("unauthorized")
    credentials().write_text(json.dumps({"auths": {words[3]: {}}}))


def pull(words: list[str], cloud: Cloud) -> None:
    """Only what was pushed, with a login, by a machine whose account may read it."""
    image = words[-1]
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


def compose(words: list[str], cloud: Cloud) -> None:
    """Compose, in the folder of its files."""
    if words[0] == "up":
        settings = dict(line.split("=", 1) for line in Path(".env").read_text().splitlines())
        for name in settings["COMPOSE_FILE"].split(":"):
            if not Path(name).is_file():
                refuse(f"open {name}: no such file or directory")
    elif words[:2] == ["ps", "--quiet"]:
        print(words[2])
    elif words != ["version"]:
        print(f"what compose says to {words}")


def inspect(words: list[str], cloud: Cloud) -> None:
    """Health of a container, whose id is its service's name here."""
    print(cloud["health"][words[-1]])


def curl(words: list[str], cloud: Cloud) -> None:
    """What the addresses answer that are asked."""
    address = next(word for word in words if word.startswith("http"))
    if address == "https://checkip.amazonaws.com" and "-4fsS" in words:
        print(cloud["address"])
    elif address == "http://198.51.100.9:8501/_stcore/health":
        if not cloud["page"]:
            refuse("Connection timed out", 28)
    elif ON_MACHINE and "Metadata-Flavor: Google" in words and address.startswith("http://169.254.169.254/"):
        token = json.dumps({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})
        print({"token": token, "ip": "10.85.0.2"}[address.rpartition("/")[2]])
    else:
        refuse(f"Could not resolve {address}", 6)


def sudo(words: list[str], cloud: Cloud) -> None:
    """Do it as who one is: owners cannot be given away by everybody who runs tests."""
    if words[0] != "chown":
        os.execvp(words[0], words)


def apt_get(words: list[str], cloud: Cloud) -> None:
    """Debian's packages."""
    if "install" in words:
        cloud["installed"] = {"docker.io", "docker-cli", "docker-compose"} <= set(words)


def nothing(words: list[str], cloud: Cloud) -> None:
    """What only has to be called."""


PROGRAMS: dict[str, Any] = {
    "gcloud": gcloud,
    "docker": docker,
    "curl": curl,
    "sudo": sudo,
    "apt-get": apt_get,
    "systemctl": nothing,
}

if __name__ == "__main__":
    main()
