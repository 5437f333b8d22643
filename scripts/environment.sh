# Sourced by demo.sh and test.sh: makes .venv with the pinned dependencies, or keeps it where nothing has changed.

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" > /dev/null \
            && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python 3.11 or newer with venv found: install one (Debian: apt install python3 python3-venv)" >&2
    return 2
}

make_environment() {
    local python wanted
    wanted=$(cat pyproject.toml constraints.txt | cksum)
    if [[ -f .venv/made-from && $(< .venv/made-from) == "$wanted" ]]; then
        return
    fi
    python=$(find_python)
    echo "making .venv with $("$python" --version), a few gigabytes the first time ..."
    [[ -x .venv/bin/python ]] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
    echo "$wanted" > .venv/made-from
}
