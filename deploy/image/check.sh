#!/usr/bin/env bash
# Checks an image: small, nothing but the three programs, run as nobody, and working without any right.
#
#   deploy/image/check.sh IMAGE [SIZE_MAX_MIB]
#
# Licences of the dependencies have to be in it if they are in dist/.
set -euo pipefail
image=$1 size_max=${2:-25}
engine=${ENGINE:-$(command -v podman || command -v docker)}

fail() {
    echo "$image: $1" >&2
    exit 1
}

user=$("$engine" image inspect --format '{{.Config.User}}' "$image")
[ "$user" = 65532:65532 ] || fail "runs as ${user:-root}"

bytes=$("$engine" image inspect --format '{{.Size}}' "$image")
[ "$bytes" -le $((size_max * 1024 * 1024)) ] || fail "has $bytes bytes, more than $size_max MiB"

container=$("$engine" create "$image")
trap '"$engine" rm "$container" > /dev/null' EXIT
# What the engine adds to every container is not the image's.
files=$("$engine" export "$container" | tar --list | grep --invert-match --extended-regexp \
    '/$|^(dev|etc|proc|run|sys)/|^\.dockerenv$' | LC_ALL=C sort)
expected=$(printf '%s\n' usr/local/bin/harkara usr/local/bin/harkara-ingress usr/local/bin/harkara-worker \
    usr/share/doc/harkara/LICENSE)
if [ -e "$(dirname "$0")/../../dist/licences.html" ]; then
    expected+=$'\nusr/share/doc/harkara/licences.html'
fi
[ "$files" = "$expected" ] || fail "has other files: $files"

run() {
    "$engine" run --rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
        --memory 64m --pids-limit 64 "$image" "$@"
}
for program in harkara harkara-ingress harkara-worker; do
    version=$(run "$program" --version)
    [[ $version == "$program "* ]] || fail "$program is $version"
    echo "$version"
done
# Without stores it finds problems: that it can say so is what counts.
doctor=$(run harkara doctor 2>&1) && fail "doctor finds no problem without stores"
grep --quiet 'redis' <<< "$doctor" || fail "doctor says: $doctor"
if run sh -c true 2> /dev/null; then
    fail "has a shell"
fi
echo "$image: $((bytes / 1024 / 1024)) MiB, as it should be"
