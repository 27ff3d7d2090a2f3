#!/usr/bin/env bash
# Starts a speech server on one machine, in a container or without one: checks what the server needs, prints one line
# for each missing thing with what to do, and serves on port 6006.
#
#   start.sh [--check] [--notebook] [flags of `voxfleet-inference serve`]
#
#   --check      check only, start nothing
#   --notebook   also start Jupyter Lab, on port 8888 of loopback; NOTEBOOK_HOST=0.0.0.0 binds it to every address. It
#                always requires a token: JUPYTER_TOKEN, or a random one, which is printed.
#
# The server reads its settings from its flags and VOXFLEET_ variables, as `serve --help` lists them. This script reads
# those of the model's folder (default /models/voxcpm; without weights there, the demo voice), the device (cuda), the
# three ports, and the voices' folder (/voices, if it can be written).
set -euo pipefail

readonly MIN_DRIVER=580 # of CUDA 13, which PyTorch's wheels hold; test_start_script compares it with the lock
readonly NOTEBOOK_PORT="${NOTEBOOK_PORT:-8888}"
readonly NOTEBOOK_HOST="${NOTEBOOK_HOST:-127.0.0.1}"
readonly NOTEBOOK_PACKAGES="${NOTEBOOK_PACKAGES:-/opt/voxfleet/notebook-packages}"
python="${PYTHON:-python3}"
missing=0

say() { printf 'start.sh: %s\n' "$*" >&2; }

report_missing() { # what is missing, what to do
  missing=$((missing + 1))
  say "missing: $1; $2"
}

# Prints a setting: from the server's flags (--flag value or --flag=value), else from its variable, else the default.
setting() { # flag, default, flags of the server...
  local flag="$1" value variable
  variable="VOXFLEET_$(tr 'a-z-' 'A-Z_' <<<"${flag#--}")"
  value="${!variable:-$2}"
  [[ "$value" != tcp://* ]] || value="$2" # Kubernetes sets VOXFLEET_PORT for a Service `voxfleet`
  shift 2
  while (($#)); do
    case "$1" in
      "$flag") value="${2:-}" ;;
      "$flag"=*) value="${1#*=}" ;;
      *) ;; # another setting
    esac
    shift
  done
  printf '%s' "$value"
}

check_package() {
  local found
  if ! found="$(command -v "$python")"; then
    report_missing "Python ($python)" "install Python 3.11 or later, or name it: PYTHON=/path/to/python3 start.sh"
  elif ! "$python" -c 'import voxfleet_inference' 2>/dev/null; then
    report_missing "the package voxfleet_inference" "install it for $found: pip install 'voxfleet[inference]'"
  fi
}

check_driver() { # device
  [[ "$1" == cuda ]] || return 0
  local driver
  if ! command -v nvidia-smi >/dev/null; then
    report_missing "an NVIDIA driver (no nvidia-smi)" \
      "install one (version $MIN_DRIVER or later), start the container with --gpus all, or use --device cpu"
  elif ! driver="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null)" || # one line per GPU
    [[ ! "$driver" =~ ^[0-9]+ ]]; then
    report_missing "a working GPU (nvidia-smi fails)" \
      "run nvidia-smi for the reason, start the container with --gpus all, or use --device cpu"
  elif ((10#${driver%%.*} < MIN_DRIVER)); then
    report_missing "a newer NVIDIA driver (this is ${driver%%$'\n'*})" "install version $MIN_DRIVER or later, or use --device cpu"
  fi
}

check_weights() { # folder
  local files advice="download them: $python -m voxfleet_inference fetch --source hf://openbmb/VoxCPM1.5 --to $1"
  if ! files="$(ls -A "$1" 2>/dev/null)" || [[ ! -d "$1" || -z "$files" ]]; then
    report_missing "the model's weights (no files in $1)" "$advice, or name their folder with --model-path"
    return
  fi
  [[ -f "$1/config.json" && -f "$1/tokenizer.json" ]] || report_missing "config.json or tokenizer.json in $1" "$advice"
  [[ -f "$1/model.safetensors" || -f "$1/pytorch_model.bin" ]] ||
    report_missing "model.safetensors or pytorch_model.bin in $1" "$advice"
  [[ -f "$1/audiovae.safetensors" || -f "$1/audiovae.pth" ]] ||
    report_missing "audiovae.safetensors or audiovae.pth in $1" "$advice"
}

# Prints the model's folder where none is named: mounted weights, else the demo voice of the image or the checkout.
default_model() {
  local folder files here
  here="$(dirname "$0")"
  for folder in /models/voxcpm /models/demo "$here/models/demo"; do
    if files="$(ls -A "$folder" 2>/dev/null)" && [[ -n "$files" ]]; then
      printf '%s' "$folder"
      return
    fi
  done
  printf /models/voxcpm
}

check_port() { # flag or variable, port
  if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    report_missing "a free port $2" "stop the process that listens there, or choose another with $1"
  fi
}

check_notebook() {
  PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$NOTEBOOK_PACKAGES" "$python" -c 'import jupyterlab' 2>/dev/null ||
    report_missing "Jupyter Lab" "build the image with --build-arg JUPYTER=install, or pip install jupyterlab"
  check_port NOTEBOOK_PORT "$NOTEBOOK_PORT"
}

# The token is passed in the environment: other users of the machine can read the arguments of a process.
start_notebook() {
  export JUPYTER_TOKEN="${JUPYTER_TOKEN:-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')}"
  say "Jupyter Lab: http://$NOTEBOOK_HOST:$NOTEBOOK_PORT/lab?token=$JUPYTER_TOKEN"
  PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$NOTEBOOK_PACKAGES" "$python" -m jupyterlab --no-browser \
    --ip="$NOTEBOOK_HOST" --port="$NOTEBOOK_PORT" --ServerApp.port_retries=0 --allow-root &
  notebook=$!
  trap 'kill "$notebook" 2>/dev/null || true' EXIT
}

# Runs the server without exec, since Jupyter must end when the server ends; signals are passed on to the server.
serve_beside_notebook() {
  local code=0 last=0 signalled=true
  "$python" -m voxfleet_inference serve "$@" &
  server=$!
  trap 'signalled=true; kill -TERM "$server" 2>/dev/null || true' TERM INT
  while "$signalled"; do # a signal interrupts `wait`, not the server
    signalled=false
    wait "$server" && last=0 || last=$?
    ((last == 127)) || code=$last # 127: an earlier `wait` has collected its status
  done
  exit "$code"
}

only_check=false
with_notebook=false
flags=()
while (($#)); do
  case "$1" in
    --check) only_check=true ;;
    --notebook) with_notebook=true ;;
    *) flags+=("$1") ;;
  esac
  shift
done

default_path="$(default_model)"
model_path="$(setting --model-path "$default_path" "${flags[@]}")"
device="$(setting --device cuda "${flags[@]}")"
voices_dir="$(setting --voices-dir /voices "${flags[@]}")"
port="$(setting --port 6006 "${flags[@]}")"
metrics_port="$(setting --metrics-port 9090 "${flags[@]}")"
internal_port="$(setting --internal-port 9091 "${flags[@]}")"

check_package
check_driver "$device"
check_weights "$model_path"
check_port --port "$port"
check_port --metrics-port "$metrics_port"
check_port --internal-port "$internal_port"
if "$with_notebook"; then check_notebook; fi

if ((missing)); then
  say "not started: $missing thing(s) missing"
  exit 1
fi
if [[ -d "$voices_dir" && -w "$voices_dir" ]]; then
  export VOXFLEET_VOICES_DIR="$voices_dir"
else
  say "voices cannot be stored ($voices_dir is no writable folder): name one with --voices-dir"
fi
export VOXFLEET_MODEL_PATH="$model_path"
say "the model in $model_path on $device, port $port"
if [[ "$model_path" == "$default_path" && "$model_path" != /models/voxcpm ]]; then
  say "this is the demo voice, small and English only; weights in /models/voxcpm or --model-path replace it"
fi
if "$only_check"; then exit 0; fi
if "$with_notebook"; then
  start_notebook
  serve_beside_notebook "${flags[@]}"
fi
exec "$python" -m voxfleet_inference serve "${flags[@]}"
