#!/bin/sh
# What the build needs besides Rust (rust-toolchain.toml): a C compiler and linker for the crates with assembly.
# Does nothing where they are.
set -eu
if command -v cc >/dev/null && command -v ld >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "install a C compiler (cc) and a linker (ld), then start again" >&2
    exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update
$sudo apt-get install --yes --no-install-recommends gcc libc6-dev
