# Sourced by up and down: how commands are shown, run and tried again, and how the cloud is asked what is there.
# shellcheck shell=bash
# shellcheck disable=SC2153  # settings.sh sets what is in capitals
# It works in bash 3.2, which is what macOS has.

program=${0##*/}
dry_run=""
enabled=" "
retry_seconds=${RETRY_SECONDS:-10}

say() { echo "$program: $*" >&2; }
die() { say "$@"; exit 1; }

# Words as a shell reads them back.
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

# In a dry run what would be run is the output; else it is told on the way.
show() { if [[ $dry_run ]]; then echo "$1"; else echo "+ $1" >&2; fi; }

# Run a command that changes something. What it prints is not the output of up: that is the page's address alone.
run() {
  show "$(quoted "$@")"
  [[ $dry_run ]] && return
  "$@" >&2 || die "this failed, and what comes after it was not begun: $(quoted "$@")" \
    "(mend what is said above, then run $program again: it goes on where it stopped)"
}

# The same with a file as input: run_from FILE COMMAND...
run_from() {
  local file=$1; shift
  show "$(quoted "$@") < $(quoted "$file")"
  [[ $dry_run ]] && return
  "$@" <"$file" >&2 || die "this failed: $(quoted "$@") < $(quoted "$file")"
}

# The same with what another command prints as input: run_piped COMMAND... -- COMMAND...
run_piped() {
  local first=()
  while [[ $1 != -- ]]; do first+=("$1"); shift; done
  shift
  show "$(quoted "${first[@]}") | $(quoted "$@")"
  [[ $dry_run ]] && return
  "${first[@]}" | "$@" >&2 || die "this failed: $(quoted "${first[@]}") | $(quoted "$@")"
}

# Run a command again and again until it succeeds: run_until SECONDS COMMAND...
run_until() {
  local seconds=$1 end=$((SECONDS + $1)); shift
  if [[ $dry_run ]]; then echo "# until it succeeds, for $seconds s at most:"; fi
  show "$(quoted "$@")"
  [[ $dry_run ]] && return
  until "$@" >&2; do
    ((SECONDS < end)) || die "this did not succeed within $seconds s: $(quoted "$@")"
    sleep "$retry_seconds"
  done
}

# Every call names the project and asks no questions (IN_PROJECT), so that neither depends on how gcloud is set up.
cloud() { run gcloud "$@" "${IN_PROJECT[@]}"; }

# Ask without changing anything. gcloud tells of an error in its own words.
ask() { gcloud "$@" "${IN_PROJECT[@]}"; }

need() { command -v "$1" >/dev/null || die "$1 was not found; $2"; }

need_login() {
  local account
  need gcloud "install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install"
  account=$(gcloud auth list --filter=status:ACTIVE '--format=value(account)' 2>/dev/null) || account=""
  # A token in the environment is a login too.
  [[ $account || ${CLOUDSDK_AUTH_ACCESS_TOKEN:-}${CLOUDSDK_AUTH_ACCESS_TOKEN_FILE:-} ]] ||
    die "nobody is logged in; run: gcloud auth login"
}

look_at_services() {
  local names
  names=$(ask services list --enabled '--format=value(config.name)') || die "project $PROJECT cannot be asked (above)"
  enabled=" $(echo "$names" | tr '\n' ' ') "
}

is_enabled() { [[ $enabled == *" $1.googleapis.com "* ]]; }

# State of a resource: `absent`, `ours` if this folder's scripts made it, else `foreign`.
#   look SERVICE NAME COMMAND...   COMMAND lists all of its kind
# strategy: a list tells what is missing (no line) from what went wrong (an error); `describe` fails for both.
look() {
  local service=$1 name=$2 listed found description
  shift 2
  if ! is_enabled "$service"; then echo absent; return; fi
  listed=$(ask "$@" '--format=value(name.basename(),description)') || die "what is there could not be listed (above)"
  while IFS=$'\t' read -r found description; do
    [[ $found == "$name" ]] || continue
    if [[ $description == "$MARK" ]]; then echo ours; else echo foreign; fi
    return
  done <<<"$listed"
  echo absent
}

# Kinds of resources, by what they are called in messages.
repository_state() { look artifactregistry "$REPOSITORY" artifacts repositories list "--location=$REGION"; }
account_state() { look iam "$ACCOUNT" iam service-accounts list; }
network_state() { look compute "$NAME" compute networks list; }
subnet_state() { look compute "$NAME" compute networks subnets list "--regions=$REGION"; }
firewall_state() { look compute "$1" compute firewall-rules list; }
machine_state() { look compute "$NAME" compute instances list; }

# Status and type of the machine that is there. In another zone it would be left behind, and a second one made.
describe_machine() {
  ask compute instances describe "$NAME" "--zone=$ZONE" '--format=value(status,machineType.basename())' ||
    die "machine $NAME exists in $PROJECT, but not in $ZONE; set ZONE to where it is"
}

# Whether the machine's account may read the repository. Both must be there.
may_read() {
  local listed
  listed=$(ask artifacts repositories get-iam-policy "$REPOSITORY" "--location=$REGION" \
    '--flatten=bindings[].members' '--format=value(bindings.role,bindings.members)') ||
    die "who may read $REPOSITORY could not be listed (above)"
  grep -Fqx "$READER"$'\t'"serviceAccount:$ACCOUNT" <<<"$listed"
}
