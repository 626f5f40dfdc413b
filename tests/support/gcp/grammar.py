"""The commands and flags of gcloud that deploy/gcp may use, from Google's reference."""

from __future__ import annotations

import sys
from typing import NoReturn

GLOBAL_FLAGS = {"--project", "--quiet", "--format"}
Flags = dict[str, str]

# Command: its number of names ("+": one or more), its required flags, its optional flags.
GRAMMAR: dict[str, tuple[int | str, str, str]] = {
    "auth list": (0, "", "--filter"),
    "auth configure-docker": (1, "", ""),
    "config get-value": (1, "", ""),
    "services list": (0, "", "--enabled"),
    "services enable": ("+", "", ""),
    "artifacts repositories list": (0, "--location", ""),
    "artifacts repositories create": (1, "--location --repository-format", "--description"),
    "artifacts repositories delete": (1, "--location", ""),
    "artifacts repositories get-iam-policy": (1, "--location", "--flatten"),
    "artifacts repositories add-iam-policy-binding": (1, "--location --member --role", ""),
    "artifacts repositories remove-iam-policy-binding": (1, "--location --member --role", ""),
    "artifacts docker images describe": (1, "", ""),
    "iam service-accounts list": (0, "", ""),
    "iam service-accounts create": (1, "", "--description --display-name"),
    "iam service-accounts delete": (1, "", ""),
    "compute networks list": (0, "", ""),
    "compute networks create": (1, "", "--subnet-mode --description"),
    "compute networks delete": (1, "", ""),
    "compute networks subnets list": (0, "", "--regions"),
    "compute networks subnets create": (1, "--network --region --range", "--description"),
    "compute networks subnets delete": (1, "--region", ""),
    "compute firewall-rules list": (0, "", ""),
    "compute firewall-rules describe": (1, "", ""),
    "compute firewall-rules create": (
        1,
        "--allow",
        "--network --direction --source-ranges --target-tags --description",
    ),
    "compute firewall-rules update": (1, "", "--source-ranges"),
    "compute firewall-rules delete": (1, "", ""),
    "compute instances list": (0, "", ""),
    "compute instances describe": (1, "--zone", ""),
    "compute instances create": (
        1,
        "--zone",
        "--machine-type --subnet --tags --image-family --image-project --boot-disk-size --boot-disk-type --metadata"
        " --service-account --scopes --shielded-secure-boot --shielded-vtpm --shielded-integrity-monitoring"
        " --description",
    ),
    "compute instances start": (1, "--zone", ""),
    "compute instances resume": (1, "--zone", ""),
    "compute instances delete": (1, "--zone", ""),
    "compute ssh": (1, "--zone --command", "--tunnel-through-iap --ssh-flag"),
}


def refuse(message: str, code: int = 1) -> NoReturn:
    """Exit with an error message."""
    print(f"ERROR: {message}", file=sys.stderr)
    sys.exit(code)


def parse(arguments: list[str]) -> tuple[str, list[str], Flags]:
    """Command, names and flags. Refuses what gcloud does not accept."""
    for length in range(4, 0, -1):
        command = " ".join(arguments[:length])
        if command in GRAMMAR:
            break
    else:
        refuse(f"Invalid choice: {arguments}", 2)
    count, required, optional = GRAMMAR[command]
    names = [word for word in arguments[length:] if not word.startswith("--")]
    flags = dict(word.partition("=")[::2] for word in arguments[length:] if word.startswith("--"))
    if unknown := set(flags) - GLOBAL_FLAGS - set(required.split()) - set(optional.split()):
        refuse(f"unrecognized arguments of {command}: {unknown}", 2)
    if missing := set(required.split()) - set(flags):
        refuse(f"{command} must be given {missing}", 2)
    if len(names) != count and not (count == "+" and names):
        refuse(f"{command} was given {names}", 2)
    return command, names, flags
