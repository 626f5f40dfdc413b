# Sourced by up and down: shows, runs and retries commands, and queries the existing resources.
# shellcheck shell=bash
# shellcheck disable=SC2153  # settings.sh sets the upper-case variables
# Compatible with bash 3.2, the version of macOS.

program=${0##*/}
dry_run=""
enabled=" "
retry_seconds=${RETRY_SECONDS:-10}

say() { echo "$program: $*" >&2; }
die() { say "$@"; exit 1; }

# The arguments, quoted for a shell.
quoted() {
  local word text="" mark="'" escaped="'\\''"
  for word in "$@"; do
    if [[ ! $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
      word="'${word//$mark/$escaped}'"
    fi
    text+="${text:+ }$word"
  done
  echo "$text"
}

# Print a command: on standard output in a dry run, else on standard error.
show() { if [[ $dry_run ]]; then echo "$1"; else echo "+ $1" >&2; fi; }

# Run a command that changes something. Its output goes to standard error, because up prints only the page's address.
run() {
  show "$(quoted "$@")"
  [[ $dry_run ]] && return
  "$@" >&2 || die "this command failed, so the next ones were not run: $(quoted "$@")" \
    "(correct the error above and run $program again; it continues with this command)"
}

# run_from FILE COMMAND...: the same, with a file as input.
run_from() {
  local file=$1; shift
  show "$(quoted "$@") < $(quoted "$file")"
  [[ $dry_run ]] && return
  "$@" <"$file" >&2 || die "this command failed: $(quoted "$@") < $(quoted "$file")"
}

# run_piped COMMAND... -- COMMAND...: the same, with the output of the first command as input of the second.
run_piped() {
  local first=()
  while [[ $1 != -- ]]; do first+=("$1"); shift; done
  shift
  show "$(quoted "${first[@]}") | $(quoted "$@")"
  [[ $dry_run ]] && return
  "${first[@]}" | "$@" >&2 || die "this command failed: $(quoted "${first[@]}") | $(quoted "$@")"
}

# run_until SECONDS COMMAND...: run a command repeatedly until it succeeds.
run_until() {
  local seconds=$1 end=$((SECONDS + $1)); shift
  if [[ $dry_run ]]; then echo "# repeated until it succeeds, for $seconds s at most:"; fi
  show "$(quoted "$@")"
  [[ $dry_run ]] && return
  until "$@" >&2; do
    ((SECONDS < end)) || die "this command did not succeed within $seconds s: $(quoted "$@")"
    sleep "$retry_seconds"
  done
}

# Each call names the project and disables questions (IN_PROJECT), so that gcloud's configuration does not matter.
cloud() { run gcloud "$@" "${IN_PROJECT[@]}"; }

# Query without changing anything. gcloud prints its own error messages.
ask() { gcloud "$@" "${IN_PROJECT[@]}"; }

need() { command -v "$1" >/dev/null || die "$1 was not found; $2"; }

need_login() {
  local account
  need gcloud "install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install"
  account=$(gcloud auth list --filter=status:ACTIVE '--format=value(account)' 2>/dev/null) || account=""
  # A token in the environment is a login, too.
  [[ $account || ${CLOUDSDK_AUTH_ACCESS_TOKEN:-}${CLOUDSDK_AUTH_ACCESS_TOKEN_FILE:-} ]] ||
    die "you are not logged in; run: gcloud auth login"
}

read_enabled_services() {
  local names
  names=$(ask services list --enabled '--format=value(config.name)') ||
    die "the services of project $PROJECT could not be listed (see above)"
  enabled=" $(echo "$names" | tr '\n' ' ') "
}

is_enabled() { [[ $enabled == *" $1.googleapis.com "* ]]; }

# resource_state SERVICE NAME COMMAND...: `absent`, `ours` if the scripts in this folder created it, else `foreign`.
# COMMAND lists all resources of its kind.
# strategy: a list distinguishes a missing resource (no line) from an error; `describe` fails for both.
resource_state() {
  local service=$1 name=$2 listed listed_name description
  shift 2
  if ! is_enabled "$service"; then echo absent; return; fi
  listed=$(ask "$@" '--format=value(name.basename(),description)') ||
    die "the existing resources could not be listed (see above)"
  while IFS=$'\t' read -r listed_name description; do
    [[ $listed_name == "$name" ]] || continue
    if [[ $description == "$MARK" ]]; then echo ours; else echo foreign; fi
    return
  done <<<"$listed"
  echo absent
}

# The states of the resources.
repository_state() { resource_state artifactregistry "$REPOSITORY" artifacts repositories list "--location=$REGION"; }
account_state() { resource_state iam "$ACCOUNT" iam service-accounts list; }
network_state() { resource_state compute "$NAME" compute networks list; }
subnet_state() { resource_state compute "$NAME" compute networks subnets list "--regions=$REGION"; }
firewall_state() { resource_state compute "$1" compute firewall-rules list; }
machine_state() { resource_state compute "$NAME" compute instances list; }

# Status and type of the existing machine. It must be in ZONE: up would otherwise create a second one.
describe_machine() {
  ask compute instances describe "$NAME" "--zone=$ZONE" '--format=value(status,machineType.basename())' ||
    die "machine $NAME exists in $PROJECT, but not in $ZONE; set ZONE to its zone"
}

# Whether the machine's account may read the repository. Both must exist.
may_read() {
  local listed
  listed=$(ask artifacts repositories get-iam-policy "$REPOSITORY" "--location=$REGION" \
    '--flatten=bindings[].members' '--format=value(bindings.role,bindings.members)') ||
    die "the readers of $REPOSITORY could not be listed (see above)"
  grep -Fqx "$READER"$'\t'"serviceAccount:$ACCOUNT" <<<"$listed"
}
