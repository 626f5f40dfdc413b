# Sourced by the commands in this folder: creates their virtual environment and installs what they need.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VENV:-$root/.venv}

# Install the given requirement sets (serve first; archive int8 ui test) that are not installed yet.
need() {
  local set
  [[ -x $venv/bin/python ]] || make_venv
  for set in "$@"; do
    need_set "$set" --no-deps
    # torch is installed second, before archive.txt: pip would otherwise warn about missing dependencies.
    [[ $set != serve ]] || need_set torch
  done
  need_project
}

# Install the project itself, editable, so that its modules are found without PYTHONPATH.
need_project() {
  local stamp
  stamp=$venv/installed/project-$(cat "$root/pyproject.toml" <(echo "$root") | sha256sum | cut -d' ' -f1)
  [[ -f $stamp ]] && return
  echo "Installing this project into $venv ..." >&2
  install --no-deps --editable "$root"
  mkdir -p "$venv/installed" && touch "$stamp"
}

# A set is installed if its file has not changed since.
need_set() {
  local set=$1 file=$root/requirements/$1.txt stamp
  stamp=$venv/installed/$set-$(sha256sum <"$file" | cut -d' ' -f1)
  [[ -f $stamp ]] && return
  echo "Installing requirements/$set.txt into $venv ..." >&2
  if [[ $set == torch ]]; then install_torch; else install "${@:2}" -r "$file"; fi
  mkdir -p "$venv/installed" && touch "$stamp"
}

make_venv() {
  local python
  for python in "${PYTHON:-python3.11}" python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$python" -m venv "$venv" && return
      echo "$python could not create a virtual environment in $venv; on Debian: apt install python3-venv" >&2
      exit 1
    fi
  done
  echo "Python 3.11 or newer was not found; set PYTHON to its path." >&2
  exit 1
}

install() {
  "$venv/bin/python" -m pip install --disable-pip-version-check "$@" >&2 && return
  echo "pip failed (see above); is the package index reachable, and does the disk have free space?" >&2
  exit 1
}

# The CPU build comes from PyTorch's own index. Set TORCH_INDEX_URL to another index (a CUDA build, a mirror), or to an
# empty value for the configured index only.
install_torch() {
  local index=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
  # If that index cannot be reached, pip continues with the configured one, after a warning.
  install --retries 1 ${index:+--extra-index-url "$index"} -r "$root/requirements/torch.txt"
}

# Run a module of the project in the environment.
run() {
  PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" -m "$@"
}

# For commands that use a running service: it was installed by scripts/up.
need_service() {
  if [[ ! -x $venv/bin/python || ! -d $venv/installed ]]; then
    echo "Nothing is installed yet: run scripts/up first." >&2
    exit 1
  fi
  need_project
}
