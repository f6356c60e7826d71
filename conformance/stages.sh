# Sourced by conformance/test.sh and .ci/run: runs a stage, and prints minutes per stage at the end.

stage_names=()
stage_seconds=()

# stage NAME COMMAND...: ends the run if the command fails.
stage() {
    local name=$1 start=$SECONDS status=0
    shift
    printf '\n== %s\n' "$name"
    # In a subshell of its own, so that `set -e` holds inside functions too.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    stage_names+=("$name")
    stage_seconds+=($((SECONDS - start)))
    if [ "$status" -ne 0 ]; then
        printf '\nFAILED: %s (exit code %s)\n' "$name" "$status" >&2
        print_stages
        exit "$status"
    fi
}

print_stages() {
    local index total=0
    printf '\n%-44s minutes\n' "stage"
    for index in "${!stage_names[@]}"; do
        total=$((total + stage_seconds[index]))
        printf '%-44s %s\n' "${stage_names[index]}" "$(minutes "${stage_seconds[index]}")"
    done
    printf '%-44s %s\n' "together" "$(minutes "$total")"
}

minutes() {
    printf '%d.%d' $(($1 / 60)) $(($1 % 60 / 6))
}
