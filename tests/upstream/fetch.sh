#!/usr/bin/env bash
# Unpacks an upstream source package (for its Tcl test suite and command metadata) without touching
# the system's package sources, and prints the folder it lies in.
#   fetch.sh [PACKAGE [SUITE]]     default: valkey trixie   (Valkey 8.1.1: the suite CI runs)
#   fetch.sh redis bookworm        Redis 7.0.15
# Kept in ${UPSTREAM_CACHE:-~/.cache/upstream}; a second call is instant.
set -euo pipefail
package=${1:-valkey} suite=${2:-trixie}
cache=${UPSTREAM_CACHE:-$HOME/.cache/upstream}
out=$cache/$package-$suite
if [ -f "$out/.done" ]; then echo "$out"; exit 0; fi
mkdir -p "$cache/apt/lists/partial" "$cache/download"
mirror=$({ cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true; } |
         grep -E '^(URIs:|deb )' | grep -oE 'https?://[^ ]+' | head -1)
printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" > "$cache/apt/sources.list"
apt=(apt-get -qq -o Dir::Etc::sourcelist="$cache/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
     -o Dir::State::lists="$cache/apt/lists" -o APT::Sandbox::User=root)
"${apt[@]}" update >&2
(cd "$cache/download" && "${apt[@]}" source --download-only --tar-only "$package" >&2)
tarball=$(ls -t "$cache/download/${package}"_*.orig.tar.* | head -1)
rm -rf "$out"; mkdir -p "$out"
tar xf "$tarball" -C "$out" --strip-components=1
touch "$out/.done"
echo "$out"
