#!/usr/bin/env bash
# The one-click start of a speech server on one machine, in a container or out of it: looks whether everything is
# there, says in one line each what is missing and what to do, and serves on port 6006.
#
#   start.sh [--check] [--notebook] [flags of `voxfleet-inference serve`]
#
#   --check      only look, start nothing
#   --notebook   also start Jupyter Lab, on port 8888 of this machine alone; NOTEBOOK_HOST=0.0.0.0 opens it to others.
#                A token is always asked for: JUPYTER_TOKEN, or one that is drawn and shown.
#
# The server's settings are read from its flags and VOXFLEET_ variables, as `serve --help` lists them. Here count
# VOXFLEET_MODEL_PATH (else /models/voxcpm), VOXFLEET_DEVICE (else cuda), VOXFLEET_PORT and the other ports, and
# VOXFLEET_VOICES_DIR (else /voices, where it can be written).
set -euo pipefail

readonly LEAST_DRIVER=580 # of the CUDA 13 in PyTorch's wheels
readonly NOTEBOOK_PORT="${NOTEBOOK_PORT:-8888}"
readonly NOTEBOOK_HOST="${NOTEBOOK_HOST:-127.0.0.1}"
readonly NOTEBOOK_PACKAGES="${NOTEBOOK_PACKAGES:-/opt/voxfleet/notebook-packages}"
python="${PYTHON:-python3}"
missing=0

say() { printf 'start.sh: %s\n' "$*" >&2; }

lacks() { # what is missing; what to do
  missing=$((missing + 1))
  say "missing: $1; $2"
}

# The value of a flag among the server's, in either way of writing it, else of its variable, else the default.
setting() { # flag, default, the server's flags...
  local flag="$1" value variable
  variable="VOXFLEET_$(tr 'a-z-' 'A-Z_' <<<"${flag#--}")"
  value="${!variable:-$2}"
  [[ "$value" != tcp://* ]] || value="$2" # Kubernetes tells of a Service named `voxfleet` that way
  shift 2
  while (($#)); do
    case "$1" in
      "$flag") value="${2:-}" ;;
      "$flag"=*) value="${1#*=}" ;;
      *) ;; # of another setting
    esac
    shift
  done
  printf '%s' "$value"
}

check_package() {
  local found
  if ! found="$(command -v "$python")"; then
    lacks "Python ($python)" "install Python 3.11 or later, or name it: PYTHON=/path/to/python3 start.sh"
  elif ! "$python" -c 'import voxfleet_inference' 2>/dev/null; then
    lacks "the package voxfleet_inference" "install it for $found: pip install 'voxfleet[inference]'"
  fi
}

check_driver() { # device
  [[ "$1" == cuda ]] || return 0
  local driver
  if ! command -v nvidia-smi >/dev/null; then
    lacks "an NVIDIA driver (no nvidia-smi)" \
      "install one (version $LEAST_DRIVER or later), start the container with --gpus all, or use --device cpu"
  elif ! driver="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null)" || # a line per GPU
    [[ ! "$driver" =~ ^[0-9]+ ]]; then
    lacks "a GPU that answers (nvidia-smi fails)" \
      "look at what nvidia-smi says, start the container with --gpus all, or use --device cpu"
  elif ((10#${driver%%.*} < LEAST_DRIVER)); then
    lacks "a newer NVIDIA driver (this is ${driver%%$'\n'*})" "install version $LEAST_DRIVER or later, or use --device cpu"
  fi
}

check_weights() { # folder
  local files advice="download them: $python -m voxfleet_inference fetch --source hf://openbmb/VoxCPM1.5 --to $1"
  if ! files="$(ls -A "$1" 2>/dev/null)" || [[ ! -d "$1" || -z "$files" ]]; then
    lacks "the model's weights (no files in $1)" "$advice, or name their folder with --model-path"
    return
  fi
  [[ -f "$1/config.json" && -f "$1/tokenizer.json" ]] || lacks "config.json or tokenizer.json in $1" "$advice"
  [[ -f "$1/model.safetensors" || -f "$1/pytorch_model.bin" ]] ||
    lacks "model.safetensors or pytorch_model.bin in $1" "$advice"
  [[ -f "$1/audiovae.safetensors" || -f "$1/audiovae.pth" ]] ||
    lacks "audiovae.safetensors or audiovae.pth in $1" "$advice"
}

check_port() { # flag, port
  if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    lacks "a free port $2" "end what listens there, or choose another with $1"
  fi
}

check_notebook() {
  PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$NOTEBOOK_PACKAGES" "$python" -c 'import jupyterlab' 2>/dev/null ||
    lacks "Jupyter Lab" "build the image with --build-arg JUPYTER=install, or pip install jupyterlab"
  check_port NOTEBOOK_PORT "$NOTEBOOK_PORT"
}

# Jupyter reads its token from the environment, where other users of the machine do not see it as they see arguments.
start_notebook() {
  export JUPYTER_TOKEN="${JUPYTER_TOKEN:-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')}"
  say "Jupyter Lab: http://$NOTEBOOK_HOST:$NOTEBOOK_PORT/lab?token=$JUPYTER_TOKEN"
  PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$NOTEBOOK_PACKAGES" "$python" -m jupyterlab --no-browser \
    --ip="$NOTEBOOK_HOST" --port="$NOTEBOOK_PORT" --ServerApp.port_retries=0 --allow-root &
  notebook=$!
  trap 'kill "$notebook" 2>/dev/null || true' EXIT
}

# The server is no exec here: when it ends, Jupyter has to end too. It gets the signals that this script gets.
serve_beside_notebook() {
  local code=0 last=0 signalled=true
  "$python" -m voxfleet_inference serve "$@" &
  server=$!
  trap 'signalled=true; kill -TERM "$server" 2>/dev/null || true' TERM INT
  while "$signalled"; do # a signal ends the waiting, not the server
    signalled=false
    wait "$server" && last=0 || last=$?
    ((last == 127)) || code=$last # 127: it was already waited for
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

model_path="$(setting --model-path /models/voxcpm "${flags[@]}")"
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
  say "voices cannot be kept ($voices_dir is no folder to write to): name one with --voices-dir"
fi
export VOXFLEET_MODEL_PATH="$model_path"
say "the model in $model_path on $device, port $port"
if "$only_check"; then exit 0; fi
if "$with_notebook"; then
  start_notebook
  serve_beside_notebook "${flags[@]}"
fi
exec "$python" -m voxfleet_inference serve "${flags[@]}"
