#!/usr/bin/env bash
# Every test, with one command, on a machine that has a Rust toolchain:
#
#     bash conformance/test.sh
#
# Installs the pinned Python and npm packages of the independent readers, in folders of their own
# below conformance, and Go with its module packages as Debian has them; builds once in the one
# optimised profile, runs all Rust tests, then lets the readers in conformance/second judge what the
# programs wrote. Nothing is skipped: what is missing fails the run. Builds into CARGO_TARGET_DIR, or
# target.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=conformance/stages.sh
. conformance/stages.sh

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
venv=$PWD/conformance/.venv
gocode=/usr/share/gocode
export SEALWIRE_PYTHON=$venv/bin/python
export SEALWIRE_BIN=$CARGO_TARGET_DIR/release/sealwire
export SEALWIRE_JUDGE=$CARGO_TARGET_DIR/tools/judge
export SEALWIRE_AUDIT_BIN=$CARGO_TARGET_DIR/release/sealwire-audit

# apt_install PACKAGE...: only where that is possible without asking anyone.
apt_install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        printf 'cannot go on without %s\nhint: install it and run this again\n' "$*" >&2
        return 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

check_tools() {
    if ! command -v cargo >/dev/null; then
        printf 'cannot build: there is no cargo\nhint: install Rust 1.95 or newer, with rustup\n' >&2
        return 1
    fi
    cargo --version
    # Two dependencies compile C.
    command -v cc >/dev/null || apt_install gcc libc6-dev
    command -v python3 >/dev/null || apt_install python3 python3-venv
    python3 --version
    # Whoever has npm has node.
    command -v npm >/dev/null || apt_install nodejs npm
    printf 'node %s, npm %s\n' "$(node --version)" "$(npm --version)"
    command -v go >/dev/null || apt_install golang-go
    [ -d "$gocode/src/golang.org/x/mod" ] || apt_install golang-golang-x-mod-dev
    go version
    # The clock of a node that tests set forward.
    ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null || apt_install libfaketime
    # The measurement of tiles under load.
    command -v nginx >/dev/null || apt_install nginx-light
    command -v wrk >/dev/null || apt_install wrk
    # A PKCS#11 token for the stories.
    if ! { command -v softhsm2-util && [ -e /usr/lib/softhsm/libsofthsm2.so ]; } >/dev/null; then
        apt_install softhsm2
    fi
    printf 'SoftHSM %s\n' "$(softhsm2-util --version)"
}

# The judge of logs that is made of the Go project's own packages, as Debian has them.
make_judge() (
    cd conformance/second/judge
    export GO111MODULE=off GOPATH=$gocode
    [ -z "$(gofmt -l .)" ] || { printf 'not formatted: gofmt -w main.go\n' >&2; return 1; }
    go vet .
    go build -o "$SEALWIRE_JUDGE" .
)

make_python() {
    local stamp want
    stamp=$venv/requirements.stamp
    want="$(python3 --version) $(sha256sum <conformance/requirements.txt)"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        rm -rf "$venv"
        if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            apt_install python3-venv
        fi
        python3 -m venv "$venv"
        "$SEALWIRE_PYTHON" -m pip install --quiet --disable-pip-version-check \
            --requirement conformance/requirements.txt
        printf '%s' "$want" >"$stamp"
    fi
    "$SEALWIRE_PYTHON" -m pip check --disable-pip-version-check
    "$SEALWIRE_PYTHON" -m pip freeze --disable-pip-version-check
}

make_node() {
    local stamp want
    cd conformance/types
    stamp=node_modules/.lock.stamp
    want="$(node --version) $(cat package.json package-lock.json | sha256sum)"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        # Removes what was there.
        npm ci --loglevel=error
        printf '%s' "$want" >"$stamp"
    fi
    npm ls --loglevel=error
}

build() {
    cargo build --release --locked --workspace --bins
}

# The programs above are not built again: same profile, same features.
test_rust() {
    cargo test --release --locked --workspace
}

# All measurements at a hundredth of their size: that they run and what they check holds, not how
# fast.
run_benches() {
    cargo bench --locked --workspace --bench measure -- slice
    cargo bench --locked --workspace --bench append -- 100000
    cargo bench --locked --workspace --bench privacy -- 100
}

# Workspaces of their own: see docs/dependencies.md. They share what is built above.
test_grammars() {
    cargo test --release --locked --manifest-path conformance/cddl/Cargo.toml
    cargo test --release --locked --manifest-path conformance/fuzz/Cargo.toml
}

# Three versions of a register with 2 of 3 governors, then with a new key of one of them and 3 of 3,
# written by the real program.
write_registers() {
    local dir=$1 seat
    for seat in jakarta singapore canberra; do
        "$SEALWIRE_BIN" register governor --seat "$seat" --out "$dir/$seat.key"
    done
    "$SEALWIRE_BIN" register new --federation customs.example --threshold 2 \
        --governor "$dir"/*.key.pub.json --out "$dir/1.draft.json"
    for seat in jakarta canberra; do
        "$SEALWIRE_BIN" register sign --draft "$dir/1.draft.json" --key "$dir/$seat.key" \
            --out "$dir/1.root.json"
    done
    "$SEALWIRE_BIN" register new --from "$dir/1.root.json" --out "$dir/2.draft.json"
    for seat in singapore jakarta; do
        "$SEALWIRE_BIN" register sign --draft "$dir/2.draft.json" --key "$dir/$seat.key" \
            --previous "$dir/1.root.json" --out "$dir/2.root.json"
    done
    "$SEALWIRE_BIN" register governor --seat canberra --out "$dir/canberra.new"
    "$SEALWIRE_BIN" register new --from "$dir/2.root.json" --out "$dir/3.draft.json"
    "$SEALWIRE_BIN" register seat replace --draft "$dir/3.draft.json" "$dir/canberra.new.pub.json"
    "$SEALWIRE_BIN" register threshold --draft "$dir/3.draft.json" 3
    for seat in singapore.key jakarta.key canberra.new; do
        "$SEALWIRE_BIN" register sign --draft "$dir/3.draft.json" --key "$dir/$seat" \
            --previous "$dir/2.root.json" --out "$dir/3.root.json"
    done
}

# Each reader prints `N passed, 0 failed` last; no claim at all is a failure.
run_reader() {
    local script=$1 program=$SEALWIRE_PYTHON said
    shift
    [ "${script##*.}" != mjs ] || program=node
    said=$("$program" "$script" "$@")
    printf '%s: %s\n' "$(basename "$script")" "$said"
    grep -Eqx '[1-9][0-9]* passed, 0 failed' <<<"$(tail -n 1 <<<"$said")"
}

test_second() {
    local script
    # Inherited by the subshell's end, whatever happens.
    registers=$(mktemp -d)
    trap 'rm -rf "$registers"' EXIT
    write_registers "$registers" >/dev/null
    for script in conformance/second/*.py conformance/second/*.mjs; do
        case $(basename "$script") in
        register_tuf.py) run_reader "$script" "$registers"/[123].root.json ;;
        *) run_reader "$script" ;;
        esac
    done
}

stage "tools" check_tools
stage "Python packages" make_python
stage "npm packages" make_node
stage "Go judge" make_judge
stage "build" build
stage "Rust tests" test_rust
stage "benches at 1/100" run_benches
stage "grammars" test_grammars
stage "independent readers" test_second
print_stages
printf '\nall passed\n'
