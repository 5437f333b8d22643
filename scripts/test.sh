#!/usr/bin/env bash
# Lint, types, tests. Arguments go to pytest, as in: bash scripts/test.sh -m "not slow" -k sampler
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
make_environment
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 "$@"
