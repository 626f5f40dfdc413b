# Sourced by up: the images, built as compose.yaml builds them and pushed where the machine finds them.
# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154  # settings.sh sets what is in capitals, up sets `repository`

push_images() {
  local name missing=()
  for name in "${IMAGES[@]}"; do
    if is_pushed "$name"; then
      say "$name:$VERSION is in the registry already; FORCE=1 builds it again, VERSION=... makes another"
    else
      missing+=("$name")
    fi
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  need docker "it builds the images: https://docs.docker.com/engine/install/"
  [[ $dry_run ]] || docker info >/dev/null 2>&1 || die "the Docker engine does not answer; start it (try: docker info)"
  cloud auth configure-docker "$HOST"
  for name in "${missing[@]}"; do push_image "$name"; done
}

# An image that cannot be described counts as missing: if that was an error, pushing it will say which.
is_pushed() {
  [[ $FORCE == 0 && $repository != absent ]] &&
    ask artifacts docker images describe "$REGISTRY/$1:$VERSION" '--format=value(image_summary.digest)' \
      >/dev/null 2>&1
}

# Built as compose.yaml builds it, for the machine's processor and not for this one's.
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
