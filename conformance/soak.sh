#!/usr/bin/env bash
# The faults in full, which conformance/test.sh runs a slice of: bash conformance/soak.sh
#
# The crash table and simulated power loss with their negative controls; 200 kills at random
# instants; 50 real power losses of an ext4 file system, and a negative control of those, where this
# machine allows it; disks that are full, limited and read-only. Ends by itself, removes what it
# mounted, and prints one summary. Builds into CARGO_TARGET_DIR, or target. KILLS and LOSSES change
# how many.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=conformance/stages.sh
. conformance/stages.sh

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export SEALWIRE_BIN=$CARGO_TARGET_DIR/release/sealwire
export SEALWIRE_AUDIT_BIN=$CARGO_TARGET_DIR/release/sealwire-audit
kills=${KILLS:-200}
losses=${LOSSES:-50}
endings=stories::endings::whatever_was_acknowledged_is_there_however_often_the_node_is_ended_at_any_instant
refusing=stories::endings::a_disk_that_refuses_every_write_stops_publications_alone_and_needs_no_repair
full=stories::adversity::a_full_disk_refuses_a_publication_clearly_and_loses_nothing
work=$(mktemp -d "${TMPDIR:-/tmp}/sealwire-soak.XXXXXX")
summary=$work/summary
device=
no_disk=

clean() {
    if mountpoint -q "$work/disk" 2>/dev/null; then
        umount "$work/disk"
    fi
    if [ -n "$device" ]; then
        losetup -d "$device"
    fi
    rm -rf "$work"
}
trap clean EXIT

note() {
    printf '%s\n' "$*" | tee -a "$summary"
}

build() {
    cargo build --release --locked --workspace --bins
    cargo test --release --locked --workspace --no-run
}

# story NAME: exactly one, which says what it did.
story() {
    cargo test --release --locked --workspace --test exchange -- --exact --nocapture "$1" \
        2>&1 | tee "$work/said"
    grep -q '^test result: ok. 1 passed' "$work/said"
}

table() {
    cargo test --release --locked --workspace --bin sealwire -- journal:: store:: 2>&1 |
        tee "$work/said"
    grep -q '^test result: ok' "$work/said"
    note "crash table, simulated power loss, negative controls: $(grep '^test result' "$work/said")"
}

kill_often() {
    SEALWIRE_KILLS=$kills story "$endings"
    note "$kills kills: $(grep 'records acknowledged' "$work/said"); none lost, roots identical, audited"
}

# An ext4 file system in a file, which conformance/disk.sh may then ruin.
make_disk() {
    mkdir "$work/disk"
    truncate -s 4G "$work/image"
    mkfs.ext4 -q -m 0 "$work/image" && device=$(losetup -f --show "$work/image") &&
        mount -o errors=remount-ro "$device" "$work/disk" &&
        bash conformance/disk.sh lose "$work/disk" && bash conformance/disk.sh again "$work/disk"
}

# on_disk COMMAND...: with the temporary directory on that file system.
on_disk() {
    TMPDIR=$work/disk SEALWIRE_DISK=$PWD/conformance/disk.sh "$@"
}

lose_power() {
    SEALWIRE_KILLS=$losses on_disk story "$endings"
    note "$losses power losses: $(grep 'records acknowledged' "$work/said"); none lost, roots identical, audited"
}

# The same where no wait for the disk is one: it has to fail, or the rig shows nothing.
lose_without_waiting() {
    printf 'int fsync(int f) { (void)f; return 0; }\nint fdatasync(int f) { (void)f; return 0; }\n' |
        cc -shared -fPIC -x c -o "$work/unsynced.so" -
    if LD_PRELOAD=$work/unsynced.so SEALWIRE_KILLS=$losses on_disk story "$endings"; then
        printf 'power losses without any fsync went unnoticed\n' >&2
        return 1
    fi
    grep -q 'is lost\|the node of ID ended' "$work/said"
    note "negative control, no fsync at all: $(grep -o 'round [0-9]*: .* is lost\|the node of ID ended' "$work/said" | head -1)"
}

refuse_writes() {
    story "$full"
    story "$refusing"
    note "disk full, and no file may grow: publications refused, reads served, goes on by itself"
}

turn_read_only() {
    on_disk story "$refusing"
    note "ext4 turned read-only by an error: publications refused, reads served, goes on once mounted anew"
}

stage "build" build
note "commit $(git rev-parse HEAD), $(git status --porcelain | grep -c . || true) files changed since"
note "$(uname -sr), $(nproc) cores, $(df --output=fstype "$work" | tail -n 1) below the temporary directory"
stage "crash table and simulated power loss" table
stage "kills" kill_often
stage "full and limited disks" refuse_writes
if [ "$(id -u)" -eq 0 ] && make_disk 2>"$work/why"; then
    stage "power losses" lose_power
    stage "power losses without fsync" lose_without_waiting
    stage "read-only disk" turn_read_only
else
    no_disk=yes
    note "real power loss: NOT RUN, no ext4 on a loop device here: $(tr '\n' ' ' <"$work/why" 2>/dev/null || printf 'not root')"
fi
print_stages
printf '\n== summary\n'
cat "$summary"
if [ -n "$no_disk" ]; then
    printf 'power loss was simulated by the file layer only\n'
fi
