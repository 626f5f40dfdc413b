# Sourced by the commands beside it: the virtual environment they run in, made and filled where needed.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VENV:-$root/.venv}

# Install what the given requirement sets name (serve archive int8 test), unless that was done already.
need() {
  local files=() set stamp
  for set in "$@"; do files+=("$root/requirements/$set.txt"); done
  stamp=$(cat "${files[@]}" "$root/requirements/torch.txt" | sha256sum | cut -d' ' -f1)
  [[ -f $venv/installed/$stamp ]] && return
  [[ -x $venv/bin/python ]] || make_venv
  echo "Installing for: $*, into $venv; the first time this takes some minutes ..." >&2
  # torch comes second: what pip says then about packages that lack something would be about archive.txt.
  install --no-deps -r "${files[0]}"
  install_torch
  for set in "${files[@]:1}"; do install --no-deps -r "$set"; done
  mkdir -p "$venv/installed" && touch "$venv/installed/$stamp"
}

make_venv() {
  local python
  for python in "${PYTHON:-python3.11}" python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$python" -m venv "$venv" && return
      echo "$python could not make a virtual environment in $venv; on Debian: apt install python3-venv" >&2
      exit 1
    fi
  done
  echo "Python 3.11 or newer is needed and was not found; set PYTHON to its path." >&2
  exit 1
}

install() {
  "$venv/bin/python" -m pip install --disable-pip-version-check "$@" >&2 && return
  echo "pip could not install what is needed (above); is the package index reachable, and is the disk full?" >&2
  exit 1
}

# The CPU build comes from PyTorch's own index; set TORCH_INDEX_URL to another (a CUDA build, a mirror), or to
# nothing for the configured index alone.
install_torch() {
  "$venv/bin/python" -c 'import importlib.metadata as m, sys
wanted = [line.strip().split("==")[1] for line in open(sys.argv[1]) if line.startswith("torch==")][0]
sys.exit(m.version("torch").split("+")[0] != wanted)' "$root/requirements/torch.txt" 2>/dev/null && return
  local index=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
  echo "Installing torch (about 200 MB) ..." >&2
  # Where that index cannot be reached pip goes on with the configured one, after a warning.
  install --retries 1 ${index:+--extra-index-url "$index"} -r "$root/requirements/torch.txt"
}

# Run a module of scripts/ in the environment.
run() {
  PYTHONPATH="$root/handler:$root/scripts:$root/ui" PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" -m "$@"
}

need_service() {
  [[ -x $venv/bin/python && -d $venv/installed ]] || { echo "Nothing is installed yet: run scripts/up first." >&2; exit 1; }
}
