#!/bin/sh
# Builds the enclave image of the committed sources in a fresh clone, in a folder of another name and with another home,
# and compares it byte for byte with an image that was built before, or with that of a second clone. Each clone takes a
# full build of the enclave.
#
# usage: scripts/reproduce.sh [--against FILE] [PACKAGE]
#   FILE     an image of the same commit, for instance target/enclave/image/twine.sgxs
#   PACKAGE  the enclave's static library (default: twine-enclave-image)
set -eu
against=
if [ "${1:-}" = --against ]; then
    against=$(realpath "$2")
    shift 2
fi
package=${1:-twine-enclave-image}
repo=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
if [ -n "$against" ] && [ -n "$(git -C "$repo" status --porcelain -- crates enclave)" ]; then
    echo "crates/ or enclave/ has uncommitted changes, which a clone does not have: commit them first" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The toolchain is an input of the image and the same for both; only its users' folders differ.
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
export RUSTUP_HOME
PATH=$(rustc --print sysroot)/bin:$PATH
export PATH
cargo_home=${CARGO_HOME:-$HOME/.cargo}
# The builder itself is not what is tested here: build it once, in the checkout.
builder=$(cargo build --quiet --manifest-path "$repo/Cargo.toml" -p twine-image --example build-image \
    --message-format=json | sed -n 's/.*"executable":"\([^"]*build-image\)".*/\1/p')

build() { # FOLDER
    git clone --quiet --no-hardlinks "$repo" "$1/clone"
    mkdir -p "$1/home/cargo/registry"
    # What was downloaded once is not downloaded again; sources are unpacked again.
    for part in config.toml registry/index registry/cache; do
        if [ -e "$cargo_home/$part" ]; then
            cp -R "$cargo_home/$part" "$1/home/cargo/$part"
        fi
    done
    HOME=$1/home CARGO_HOME=$1/home/cargo "$builder" "$1/clone/enclave" "$package" "$1/out" >"$1/record"
}
build "$work/another folder/one"
if [ -z "$against" ]; then
    build "$work/b"
    against=$work/b/out/twine.sgxs
fi

image="$work/another folder/one/out/twine.sgxs"
sha256sum "$image" "$against" | sed "s|$work/||"
if cmp "$image" "$against"; then
    sed -n 's/.*"mrenclave": "\(.*\)".*/the images agree; MRENCLAVE is \1/p' "$work/another folder/one/record"
else
    echo "the images differ" >&2
    exit 1
fi
