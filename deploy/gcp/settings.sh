# Sourced by up and down: the settings, their defaults and their checks. README.md explains each.
# shellcheck shell=bash
# shellcheck disable=SC2034  # up and down use them

: "${NAME:=yolov5}" "${ZONE:=us-central1-a}" "${REPOSITORY:=yolov5-torchserve}" "${VERSION:=1.0.0}"
: "${MACHINE_TYPE:=c3-standard-4}" "${DISK_GB:=50}" "${READY_SECONDS:=1800}" "${FORCE:=0}"
: "${MODELS:=yolov5s,yolov5m,yolov5l}" "${PRECISION:=fp32}" "${OPERATOR_PASSWORD_FILE:=}" "${CALIBRATION_DIR:=}"
: "${SOURCE_RANGES:=}" "${CALLER_ADDRESS:=}"

# The description of all created resources, by which they are recognised.
MARK="YOLOv5 on TorchServe, made by deploy/gcp/up"
READER=roles/artifactregistry.reader
SERVICES=(artifactregistry compute iam iap oslogin)
IMAGES=(archiver torchserve ui)
PAGE_PORT=8501
# The range of Google's Identity-Aware Proxy, the only source of ssh connections.
IAP_RANGE=35.235.240.0/20
SUBNET_RANGE=10.85.0.0/24
# Settings of compose.yaml that are passed on to the machine if they are set.
PASSED_ON=(WORKERS_PER_MODEL TOKEN_EXPIRATION_MIN TORCHSERVE_MEMORY TORCHSERVE_CPUS TORCHSERVE_TMP ARCHIVER_MEMORY
  ARCHIVER_TMP UI_MEMORY UI_ALLOW_URLS YOLOV5_WEIGHTS_URL)

# check NAME PATTERN EXPECTED: stop if a setting does not match.
check() {
  [[ ${!1} =~ ^($2)$ ]] || die "$1 is '${!1}'; expected $3"
}

# The settings of both commands: the project, the place, and the names.
read_names() {
  if [[ -z ${PROJECT:-} ]]; then PROJECT=$(gcloud config get-value project 2>/dev/null) || PROJECT=""; fi
  [[ $PROJECT && $PROJECT != "(unset)" ]] ||
    die "no project: set PROJECT to the id of a Google Cloud project, or run: gcloud config set project ID"
  check PROJECT '[a-z][a-z0-9-]{4,28}[a-z0-9]' "the id of a Google Cloud project, like my-project-123"
  check ZONE '[a-z]+-[a-z]+[0-9]+-[a-z]' "a zone, like us-central1-a"
  check NAME '[a-z][a-z0-9-]{1,22}[a-z0-9]' "3 to 24 lower-case letters, digits and hyphens"
  check REPOSITORY '[a-z][a-z0-9-]{0,60}[a-z0-9]' "lower-case letters, digits and hyphens"
  IN_PROJECT=("--project=$PROJECT" --quiet)
  REGION=${ZONE%-*}
  HOST=$REGION-docker.pkg.dev
  REGISTRY=$HOST/$PROJECT/$REPOSITORY
  ACCOUNT=$NAME-vm@$PROJECT.iam.gserviceaccount.com
}

# The other settings of up.
read_settings() {
  read_names
  need curl "up finds your address with it, and tests the page"
  check VERSION '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}' "a tag of an image, like 1.0.0"
  check MODELS '[A-Za-z0-9_][A-Za-z0-9_.-]*(,[A-Za-z0-9_][A-Za-z0-9_.-]*)*' "names separated by commas"
  check PRECISION 'fp32|bf16|int8' "fp32, bf16 or int8"
  check MACHINE_TYPE '[a-z][a-z0-9]*-[a-z0-9-]+' "a machine type, like c3-standard-4"
  check DISK_GB '[0-9]+' "a number of gigabytes"
  check READY_SECONDS '[0-9]+' "a number of seconds"
  check FORCE '[01]' "0 or 1"
  case $MACHINE_TYPE in
    c4a-* | n4a-* | t2a-* | a4x-*) die "MACHINE_TYPE is '$MACHINE_TYPE', an Arm machine; the images are for x86-64" ;;
    # These series take no persistent disks.
    c4-* | c4d-* | n4-* | n4d-*) : "${DISK_TYPE:=hyperdisk-balanced}" ;;
    *) : "${DISK_TYPE:=pd-balanced}" ;;
  esac
  local name
  for name in "${PASSED_ON[@]}"; do
    if [[ ${!name:-} ]]; then check "$name" '[A-Za-z0-9_.:/-]+' "letters, digits and _ . : / -"; fi
  done
  read_files
  read_ranges
}

# Relative paths refer to the caller's folder, but up works in the project's folder.
read_files() {
  local name
  WEIGHTS_DIR=${WEIGHTS_DIR:-$root/weights}
  for name in WEIGHTS_DIR CALIBRATION_DIR OPERATOR_PASSWORD_FILE; do
    if [[ ${!name} && ${!name} != /* ]]; then printf -v "$name" %s "$PWD/${!name}"; fi
  done
  [[ -d $WEIGHTS_DIR ]] || die "WEIGHTS_DIR is '$WEIGHTS_DIR'; expected a folder"
  if [[ $PRECISION == int8 || $CALIBRATION_DIR ]]; then
    [[ -d $CALIBRATION_DIR ]] ||
      die "CALIBRATION_DIR is '$CALIBRATION_DIR'; expected a folder with pictures, which PRECISION=int8 needs"
  fi
  if [[ $OPERATOR_PASSWORD_FILE ]]; then
    [[ -r $OPERATOR_PASSWORD_FILE && -s $OPERATOR_PASSWORD_FILE ]] ||
      die "OPERATOR_PASSWORD_FILE is '$OPERATOR_PASSWORD_FILE', which is missing, empty or not readable"
  fi
}

# The ranges that may open the page: SOURCE_RANGES, or else the caller's address.
read_ranges() {
  local range
  if [[ -z $SOURCE_RANGES ]]; then
    if [[ -z $CALLER_ADDRESS ]]; then
      CALLER_ADDRESS=$(curl -4fsS --max-time 20 https://checkip.amazonaws.com) ||
        die "your public address was not found; set CALLER_ADDRESS to it, or set SOURCE_RANGES"
    fi
    is_range "$CALLER_ADDRESS/32" || die "CALLER_ADDRESS is '$CALLER_ADDRESS'; expected an IPv4 address"
    SOURCE_RANGES=$CALLER_ADDRESS/32
  fi
  [[ $SOURCE_RANGES == none ]] && return
  while read -r range; do
    is_range "$range" || die "SOURCE_RANGES has '$range'; expected IPv4 ranges like 203.0.113.7/32, or none"
    if [[ $range == */0 ]]; then say "SOURCE_RANGES has $range: EVERYBODY can open the page without a login"; fi
  done <<<"${SOURCE_RANGES//,/$'\n'}"
}

is_range() {
  local part="25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9]"
  [[ $1 =~ ^($part)\.($part)\.($part)\.($part)/(3[0-2]|[12]?[0-9])$ ]]
}

# Ranges in sorted order, separated by commas, so that two lists can be compared.
sorted_ranges() { echo "$1" | tr -s ',; ' '\n' | sort -u | paste -sd , -; }
