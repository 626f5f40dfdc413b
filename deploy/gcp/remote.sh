# Sourced by up: what it does on the machine, over ssh, and how it tells where the page is.
# shellcheck shell=bash
# shellcheck disable=SC2153  # settings.sh sets what is in capitals

there=/opt/yolov5

# on_machine COMMAND [FLAG]: what runs it there, as the words `ssh`. It comes through Google's proxy, so that port 22 is
# open to nobody else. $no_input as flag keeps ssh from reading what was meant for others, such as the rest of a script.
no_input=--ssh-flag=-n
on_machine() {
  ssh=(gcloud compute ssh "$NAME" "--zone=$ZONE" --tunnel-through-iap "--command=$1" ${2+"$2"} "${IN_PROJECT[@]}")
}

copy_files() {
  on_machine true "$no_input"
  run_until 300 "${ssh[@]}"
  on_machine "sudo install -d -m 0755 $there && sudo tar -xf - --no-same-owner -C $there"
  run_piped tar -cf - compose.yaml -C deploy/gcp compose.gcp.yaml machine -- "${ssh[@]}"
  copy_settings
  copy_weights
  if [[ $CALIBRATION_DIR ]]; then copy_folder "$CALIBRATION_DIR" calibration .; fi
  if [[ $OPERATOR_PASSWORD_FILE ]]; then copy_password; fi
}

# compose reads .env: which files, which images, and what is set here.
copy_settings() {
  local name lines=("COMPOSE_FILE=compose.yaml:compose.gcp.yaml" "REGISTRY=$REGISTRY" "VERSION=$VERSION"
    "MODELS=$MODELS" "PRECISION=$PRECISION")
  if [[ $CALIBRATION_DIR ]]; then lines+=("CALIBRATION_DIR=./calibration"); fi
  if [[ $OPERATOR_PASSWORD_FILE ]]; then lines+=("OPERATOR_PASSWORD_FILE=./secrets/operator_password"); fi
  for name in "${PASSED_ON[@]}"; do
    if [[ ${!name:-} ]]; then lines+=("$name=${!name}"); fi
  done
  # Not `install /dev/stdin`: what sshd gives as input may be a socket, which cannot be opened by that name.
  on_machine "sudo tee $there/.env >/dev/null"
  run_piped printf '%s\n' "${lines[@]}" -- "${ssh[@]}"
}

# The checkpoints among the models that are at hand; the archiver fetches what it knows of the others.
copy_weights() {
  local name files=()
  while read -r name; do
    if [[ -f $WEIGHTS_DIR/$name.pt ]]; then files+=("$name.pt"); fi
  done <<<"${MODELS//,/$'\n'}"
  if [[ ${#files[@]} -gt 0 ]]; then copy_folder "$WEIGHTS_DIR" weights "${files[@]}"; fi
}

# copy_folder FROM TO WHAT...: instead of what is there under that name, readable by the containers' user.
copy_folder() {
  local from=$1 to=$there/$2
  shift 2
  on_machine "sudo rm -rf $to && sudo install -d -m 0755 $to && sudo tar -xf - --no-same-owner -C $to && \
sudo chmod -R a+rX $to"
  run_piped tar -cf - -C "$from" "$@" -- "${ssh[@]}"
}

# As input and never as an argument: those can be read by others. Only root and the containers' user may open it.
copy_password() {
  local file=$there/secrets/operator_password.new
  on_machine "sudo install -d -m 0700 $there/secrets && sudo tee $file >/dev/null && \
sudo chown 10001:10001 $file && sudo chmod 0400 $file"
  run_from "$OPERATOR_PASSWORD_FILE" "${ssh[@]}"
}

start_stack() {
  on_machine "sudo bash $there/machine $READY_SECONDS" "$no_input"
  run "${ssh[@]}"
}

# The page's address is all that up prints. It is tried from here, because that is where it is wanted.
tell_address() {
  local address find=(gcloud compute instances describe "$NAME" "--zone=$ZONE"
    '--format=value(networkInterfaces[0].accessConfigs[0].natIP)' "${IN_PROJECT[@]}")
  local tunnel=(gcloud compute ssh "$NAME" "--zone=$ZONE" --tunnel-through-iap "--project=$PROJECT" --)
  if [[ $SOURCE_RANGES == none ]]; then
    say "the stack is healthy, and its page is open to nobody; this brings it to http://127.0.0.1:$PAGE_PORT:"
    quoted "${tunnel[@]}" -L "$PAGE_PORT:127.0.0.1:$PAGE_PORT"
    return
  fi
  show "$(quoted "${find[@]}")"
  [[ $dry_run ]] && return
  address=$("${find[@]}") || die "the machine's address was not told (above)"
  [[ $address ]] || die "machine $NAME has no public address; was it taken from it?"
  if ! curl -fsS --retry 5 --retry-delay 2 --retry-connrefused --max-time 10 \
    "http://$address:$PAGE_PORT/_stcore/health" >/dev/null; then
    say "the stack is healthy, but its page does not answer from here; it is open to $SOURCE_RANGES alone"
  fi
  say "the API is not open; this brings it to http://127.0.0.1:8080:" \
    "$(quoted "${tunnel[@]}" -L 8080:127.0.0.1:8080)"
  echo "http://$address:$PAGE_PORT"
}
