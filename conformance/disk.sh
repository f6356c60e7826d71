#!/usr/bin/env bash
# What can befall the ext4 file system that a path is on, for conformance/soak.sh and the stories
# that it runs. Needs root, and a file system made for this: it destroys what is not synced.
#
#     disk.sh lose PATH       the power is lost: nothing more reaches the disk, its journal neither
#     disk.sh readonly PATH   the file system finds an error and turns read-only
#     disk.sh again PATH      it is mounted anew, as after a restart of the machine
set -euo pipefail
action=$1
mount=$(stat -c %m "$2")
device=$(findmnt -no SOURCE "$mount")
case $mount:$device in
*/sealwire-soak.*:/dev/loop*) ;;
*)
    printf 'cannot use %s: not a disk of conformance/soak.sh\n' "$mount" >&2
    exit 1
    ;;
esac

case $action in
lose)
    # EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
    python3 -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))' "$mount"
    ;;
readonly)
    printf 1 >"/sys/fs/ext4/$(basename "$device")/trigger_fs_error"
    ;;
again)
    # Who has just been ended may hold a file for a moment longer.
    for _ in $(seq 100); do
        umount "$mount" 2>/dev/null && break
        sleep 0.05
    done
    mount -o errors=remount-ro "$device" "$mount"
    ;;
*)
    printf 'cannot %s a disk\n' "$action" >&2
    exit 1
    ;;
esac
