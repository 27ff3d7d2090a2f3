#!/usr/bin/env bash
# Starts a speech server on one machine, in a container or in a checkout: checks what the server needs, prints one line
# for each missing thing with what to do, and serves on port 6006, with a page to try it.
#
#   start.sh [--check] [--setup] [--download] [--notebook] [--help] [flags of `voxfleet-inference serve`]
#
#   --check      check only, start nothing
#   --setup      in a checkout: first make its environment, .venv, from the lock (scripts/setup)
#   --download   first download VoxCPM 1.5, resuming where an earlier download ended
#   --notebook   also start Jupyter Lab, on port 8888 of loopback. It always requires a token: JUPYTER_TOKEN, or a random
#                one, which is printed. NOTEBOOK_HOST=0.0.0.0 binds it to every address, with TLS: by the files in
#                NOTEBOOK_CERTIFICATE and NOTEBOOK_KEY, or, with NOTEBOOK_TLS=proxy, by what is in front of it
#   --help       print this
#
# Python is $PYTHON, else the checkout's .venv, else python3; with --setup it is the .venv, which $PYTHON makes. Where no
# weights are named (--model-path), those in /models/voxcpm or of an earlier --download are served, else the demo voice,
# which is small and English only. Voices are kept in /voices if it can be written, else in
# ~/.local/share/voxfleet/voices. tts-1, tts-1-hd and gpt-4o-mini-tts mean the model too, unless --model-aliases says
# otherwise.
#
# The server reads its settings from its flags and VOXFLEET_ variables, as `serve --help` lists them.
set -euo pipefail

readonly MIN_DRIVER=580 # of CUDA 13, which PyTorch's wheels hold; test_start_script compares it with the lock
readonly NOTEBOOK_PORT="${NOTEBOOK_PORT:-8888}"
readonly NOTEBOOK_HOST="${NOTEBOOK_HOST:-127.0.0.1}"
readonly NOTEBOOK_CERTIFICATE="${NOTEBOOK_CERTIFICATE:-}"
readonly NOTEBOOK_KEY="${NOTEBOOK_KEY:-}"
readonly NOTEBOOK_TLS="${NOTEBOOK_TLS:-}"
readonly NOTEBOOK_PACKAGES="${NOTEBOOK_PACKAGES:-/opt/voxfleet/notebook-packages}"
readonly OPENAI_MODELS=tts-1,tts-1-hd,gpt-4o-mini-tts
readonly SOURCE=hf://openbmb/VoxCPM1.5
script="$(readlink -f "$0")"
printf -v command '%q' "$script" # as a shell takes it, for advice that is copied
here="$(dirname "$script")"
checkout="$(dirname "$here")"
[[ -f "$checkout/pyproject.toml" && -x "$checkout/scripts/setup" ]] || checkout=""
data="${XDG_DATA_HOME:-${HOME:-/tmp}/.local/share}/voxfleet"
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

print_help() {
  sed -n '2,/^set /{/^#/{s/^# \{0,1\}//;p;}}' "$script"
}

# Prints the Python to use: the named one, the checkout's, or the system's.
chosen_python() {
  if [[ -n "${PYTHON:-}" ]] && ! "$with_setup"; then # for --setup it is what the environment is made with
    printf '%s' "$PYTHON"
  elif [[ -n "$checkout" && -x "$checkout/.venv/bin/python" ]]; then
    printf '%s' "$checkout/.venv/bin/python"
  else
    printf python3
  fi
}

check_package() {
  local advice="name a Python that has it: PYTHON=/path/to/python3 $command"
  if [[ -n "$checkout" ]]; then advice="make this checkout's environment: $command --setup"; fi
  if [[ -n "${PYTHON:-}" ]]; then advice="PYTHON names it: name one that has the package, or unset PYTHON"; fi
  if ! command -v "$python" >/dev/null; then
    report_missing "Python ($python)" "$advice"
  elif ! "$python" -c 'import voxfleet_inference' 2>/dev/null; then
    report_missing "the package voxfleet_inference" "$advice"
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
  local files advice="download them: $command --download"
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

# Prints the model's folder where none is named: mounted or downloaded weights, else the demo voice of the image or the
# checkout.
default_model() {
  local folder files
  for folder in /models/voxcpm "$data/models/voxcpm" /models/demo "$here/models/demo"; do
    if files="$(ls -A "$folder" 2>/dev/null)" && [[ -n "$files" ]]; then
      printf '%s' "$folder"
      return
    fi
  done
  printf /models/voxcpm
}

# Prints where --download writes: the folder that is mounted for it, if this user can write there.
download_folder() {
  if [[ -w /models/voxcpm ]]; then printf /models/voxcpm; else printf '%s' "$data/models/voxcpm"; fi
}

# Prints the voices' folder where none is named.
default_voices() {
  if [[ -d /voices && -w /voices ]]; then printf /voices; else printf '%s' "$data/voices"; fi
}

# Prints the folder, or the nearest one above it that exists.
existing_folder() { # folder
  local folder="$1"
  while [[ ! -e "$folder" && "$folder" == */* ]]; do folder="${folder%/*}"; done
  printf '%s' "${folder:-/}"
}

# Prints the page's address as a browser on this machine opens it.
page_address() { # host, port
  case "$1" in
    0.0.0.0 | ::) printf 'http://localhost:%s/' "$2" ;;
    *:*) printf 'http://[%s]:%s/' "$1" "$2" ;;
    *) printf 'http://%s:%s/' "$1" "$2" ;;
  esac
}

check_port() { # flag or variable, port
  if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    report_missing "a free port $2" "stop the process that listens there, or choose another with $1"
  fi
}

check_notebook() {
  local advice="build the image with --build-arg JUPYTER=install" environment="$checkout/.venv/bin"
  if [[ -n "$checkout" && "$python" == "$environment/python" && -x "$environment/uv" ]]; then
    advice="install it: $environment/uv pip install --python $python jupyterlab"
  elif "$python" -c 'import pip' 2>/dev/null; then
    advice="$advice, or install it: $python -m pip install jupyterlab"
  fi
  PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$NOTEBOOK_PACKAGES" "$python" -c 'import jupyterlab' 2>/dev/null ||
    report_missing "Jupyter Lab" "$advice"
  check_port NOTEBOOK_PORT "$NOTEBOOK_PORT"
  check_notebook_tls
}

# Its token allows its holder to run programs, so it is never sent over a network without TLS.
check_notebook_tls() {
  if [[ -n "$NOTEBOOK_CERTIFICATE$NOTEBOOK_KEY" ]]; then
    [[ -r "$NOTEBOOK_CERTIFICATE" ]] || report_missing "the file in NOTEBOOK_CERTIFICATE ($NOTEBOOK_CERTIFICATE)" "name a certificate in PEM"
    [[ -r "$NOTEBOOK_KEY" ]] || report_missing "the file in NOTEBOOK_KEY ($NOTEBOOK_KEY)" "name the certificate's key in PEM"
  elif [[ ! "$NOTEBOOK_HOST" =~ ^(127\.[0-9.]+|::1|localhost)$ && "$NOTEBOOK_TLS" != proxy ]]; then
    report_missing "TLS for Jupyter Lab on NOTEBOOK_HOST=$NOTEBOOK_HOST" \
      "name files in NOTEBOOK_CERTIFICATE and NOTEBOOK_KEY, or set NOTEBOOK_TLS=proxy where something in front of it has TLS"
  fi
}

# The token is passed in the environment: other users of the machine can read the arguments of a process.
start_notebook() {
  local share="$NOTEBOOK_PACKAGES/share/jupyter"
  if [[ -d "$share/lab" ]]; then # Jupyter looks for its pages and kernels below Python's prefix, which is another folder
    export JUPYTERLAB_DIR="$share/lab" JUPYTER_PATH="$share${JUPYTER_PATH:+:$JUPYTER_PATH}"
  fi
  export JUPYTER_TOKEN="${JUPYTER_TOKEN:-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')}"
  local scheme=http tls=()
  if [[ -n "$NOTEBOOK_CERTIFICATE" ]]; then
    scheme=https
    tls=("--ServerApp.certfile=$NOTEBOOK_CERTIFICATE" "--ServerApp.keyfile=$NOTEBOOK_KEY")
  fi
  say "Jupyter Lab: $scheme://$NOTEBOOK_HOST:$NOTEBOOK_PORT/lab?token=$JUPYTER_TOKEN"
  PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$NOTEBOOK_PACKAGES" "$python" -m jupyterlab --no-browser \
    --ip="$NOTEBOOK_HOST" --port="$NOTEBOOK_PORT" --ServerApp.port_retries=0 --allow-root "${tls[@]}" &
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
with_setup=false
with_download=false
flags=()
while (($#)); do
  case "$1" in
    --help | -h)
      print_help
      exit 0
      ;;
    --check) only_check=true ;;
    --setup) with_setup=true ;;
    --download) with_download=true ;;
    --notebook) with_notebook=true ;;
    *) flags+=("$1") ;;
  esac
  shift
done

if "$with_setup"; then
  if [[ -z "$checkout" ]]; then
    say "--setup needs a checkout; $here is none"
    exit 2
  fi
  "$checkout/scripts/setup" >&2
fi
python="$(chosen_python)"
if "$with_download"; then
  check_package
  ((!missing)) || exit 1
  folder="$(download_folder)"
  "$python" -m voxfleet_inference fetch --source "$SOURCE" --to "$folder" >&2
fi
default_path="$(default_model)"
model_path="$(setting --model-path "$default_path" "${flags[@]}")"
device="$(setting --device cuda "${flags[@]}")"
default_voices_dir="$(default_voices)"
voices_dir="$(setting --voices-dir "$default_voices_dir" "${flags[@]}")"
host="$(setting --host 0.0.0.0 "${flags[@]}")"
port="$(setting --port 6006 "${flags[@]}")"
metrics_port="$(setting --metrics-port 9090 "${flags[@]}")"
internal_port="$(setting --internal-port 9091 "${flags[@]}")"
aliases="$(setting --model-aliases "$OPENAI_MODELS" "${flags[@]}")"

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
existing="$(existing_folder "$voices_dir")"
if [[ -d "$existing" && -w "$existing" ]]; then
  export VOXFLEET_VOICES_DIR="$voices_dir" # the server makes it
  say "voices are kept in $voices_dir"
else
  say "voices cannot be stored ($voices_dir cannot be written): name a folder with --voices-dir"
fi
export VOXFLEET_MODEL_PATH="$model_path" VOXFLEET_MODEL_ALIASES="$aliases"
say "the model in $model_path on $device"
if [[ "$model_path" == "$default_path" && "$model_path" == */models/demo ]]; then
  say "this is the demo voice, small and English only; --download fetches VoxCPM 1.5, --model-path names other weights"
fi
address="$(page_address "$host" "$port")"
say "open $address once the model is loaded; programs use ${address}v1"
if "$only_check"; then exit 0; fi
if "$with_notebook"; then
  start_notebook
  serve_beside_notebook "${flags[@]}"
fi
exec "$python" -m voxfleet_inference serve "${flags[@]}"
