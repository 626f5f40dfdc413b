# Sourced by up: the steps on the machine, over ssh, and the page's address.
# shellcheck shell=bash
# shellcheck disable=SC2153  # settings.sh sets the upper-case variables

remote_folder=/opt/yolov5

# on_machine COMMAND [FLAG]: set the array `ssh` to the command line that runs COMMAND on the machine. It goes through
# Google's proxy, so that port 22 is open to nobody else. The flag $no_input stops ssh from reading standard input,
# which may be the rest of a script.
no_input=--ssh-flag=-n
on_machine() {
  ssh=(gcloud compute ssh "$NAME" "--zone=$ZONE" --tunnel-through-iap "--command=$1" ${2+"$2"} "${IN_PROJECT[@]}")
}

copy_files() {
  on_machine true "$no_input"
  run_until 300 "${ssh[@]}"
  on_machine "sudo install -d -m 0755 $remote_folder && sudo tar -xf - --no-same-owner -C $remote_folder"
  run_piped tar -cf - compose.yaml -C deploy/gcp compose.gcp.yaml machine -- "${ssh[@]}"
  copy_settings
  copy_weights
  if [[ $CALIBRATION_DIR ]]; then copy_folder "$CALIBRATION_DIR" calibration .; fi
  if [[ $OPERATOR_PASSWORD_FILE ]]; then copy_password; fi
}

# Write .env, which compose reads: the files, the images, and the settings.
copy_settings() {
  local name lines=("COMPOSE_FILE=compose.yaml:compose.gcp.yaml" "REGISTRY=$REGISTRY" "VERSION=$VERSION"
    "MODELS=$MODELS" "PRECISION=$PRECISION")
  if [[ $CALIBRATION_DIR ]]; then lines+=("CALIBRATION_DIR=./calibration"); fi
  if [[ $OPERATOR_PASSWORD_FILE ]]; then lines+=("OPERATOR_PASSWORD_FILE=./secrets/operator_password"); fi
  for name in "${PASSED_ON[@]}"; do
    if [[ ${!name:-} ]]; then lines+=("$name=${!name}"); fi
  done
  # Not `install /dev/stdin`: sshd may give a socket as input, which cannot be opened by name.
  on_machine "sudo tee $remote_folder/.env >/dev/null"
  run_piped printf '%s\n' "${lines[@]}" -- "${ssh[@]}"
}

# Copy the models' checkpoints in WEIGHTS_DIR; the archiver downloads the released ones among the others.
copy_weights() {
  local name files=()
  while read -r name; do
    if [[ -f $WEIGHTS_DIR/$name.pt ]]; then files+=("$name.pt"); fi
  done <<<"${MODELS//,/$'\n'}"
  if [[ ${#files[@]} -gt 0 ]]; then copy_folder "$WEIGHTS_DIR" weights "${files[@]}"; fi
}

# copy_folder FROM TO FILE...: replace the folder TO on the machine, readable for the containers' user.
copy_folder() {
  local from=$1 to=$remote_folder/$2
  shift 2
  on_machine "sudo rm -rf $to && sudo install -d -m 0755 $to && sudo tar -xf - --no-same-owner -C $to && \
sudo chmod -R a+rX $to"
  run_piped tar -cf - -C "$from" "$@" -- "${ssh[@]}"
}

# Send the password as input: other users could read an argument. Only root and the containers' user may read it.
copy_password() {
  local file=$remote_folder/secrets/operator_password.new
  on_machine "sudo install -d -m 0700 $remote_folder/secrets && sudo tee $file >/dev/null && \
sudo chown 10001:10001 $file && sudo chmod 0400 $file"
  run_from "$OPERATOR_PASSWORD_FILE" "${ssh[@]}"
}

start_stack() {
  on_machine "sudo bash $remote_folder/machine $READY_SECONDS" "$no_input"
  run "${ssh[@]}"
}

# Print the page's address, the only output of up. It is tested from this computer, where it will be used.
print_address() {
  local address find=(gcloud compute instances describe "$NAME" "--zone=$ZONE"
    '--format=value(networkInterfaces[0].accessConfigs[0].natIP)' "${IN_PROJECT[@]}")
  local tunnel=(gcloud compute ssh "$NAME" "--zone=$ZONE" --tunnel-through-iap "--project=$PROJECT" --)
  if [[ $SOURCE_RANGES == none ]]; then
    say "the stack is healthy, and its page is not open; this tunnel makes it available at http://127.0.0.1:$PAGE_PORT:"
    quoted "${tunnel[@]}" -L "$PAGE_PORT:127.0.0.1:$PAGE_PORT"
    return
  fi
  show "$(quoted "${find[@]}")"
  [[ $dry_run ]] && return
  address=$("${find[@]}") || die "the machine's address could not be read (see above)"
  [[ $address ]] || die "machine $NAME has no public address; was it removed?"
  if ! curl -fsS --retry 5 --retry-delay 2 --retry-connrefused --max-time 10 \
    "http://$address:$PAGE_PORT/_stcore/health" >/dev/null; then
    say "the stack is healthy, but its page does not answer from here; it is open only to $SOURCE_RANGES"
  fi
  say "the API is not open; this tunnel makes it available at http://127.0.0.1:8080:" \
    "$(quoted "${tunnel[@]}" -L 8080:127.0.0.1:8080)"
  echo "http://$address:$PAGE_PORT"
}
