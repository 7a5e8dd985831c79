#!/usr/bin/env bash
# Makes the peers' virtual environment where there is none yet, and compares: run.sh [--venv FOLDER] [options of compare.py]
set -euo pipefail
cd "$(dirname "$0")"

venv=../../target/peers-venv
if [ "${1:-}" = --venv ]; then
    venv=${2:?--venv needs a folder}
    shift 2
fi
python=${PYTHON:-python3}

if [ ! -e "$venv/ready" ]; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
        echo "run.sh: $python is older than Python 3.12, which the pinned JAX needs; name a newer one: PYTHON=… $0" >&2
        exit 2
    }
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet -r requirements.txt
    touch "$venv/ready"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" compare.py "$@"
