# Sourced by up: builds the images as compose.yaml does, and pushes them to the registry.
# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154  # settings.sh sets the upper-case variables, up sets `repository`

push_images() {
  local name missing=()
  for name in "${IMAGES[@]}"; do
    if is_pushed "$name"; then
      say "$name:$VERSION is already in the registry; FORCE=1 builds it again, VERSION=... builds another version"
    else
      missing+=("$name")
    fi
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  need docker "up builds the images with it: https://docs.docker.com/engine/install/"
  [[ $dry_run ]] || docker info >/dev/null 2>&1 || die "the Docker engine does not answer; start it (try: docker info)"
  cloud auth configure-docker "$HOST"
  for name in "${missing[@]}"; do push_image "$name"; done
}

# An image that cannot be described counts as missing; if this was an error, the push will show it.
is_pushed() {
  [[ $FORCE == 0 && $repository != absent ]] &&
    ask artifacts docker images describe "$REGISTRY/$1:$VERSION" '--format=value(image_summary.digest)' \
      >/dev/null 2>&1
}

# Build an image as compose.yaml does, for the processor of the machine, which may differ from this computer's.
push_image() {
  local image=$REGISTRY/$1:$VERSION arguments=()
  local index=TORCH_INDEX_URL=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
  case $1 in
    archiver) arguments=(--build-arg "$index") ;;
    torchserve) arguments=(--build-arg WITH_TORCH=0 --build-arg "$index") ;;
  esac
  run docker build --platform linux/amd64 --file "deploy/images/$1.Dockerfile" \
    ${arguments[@]+"${arguments[@]}"} --tag "$image" .
  run docker push "$image"
}
