#!/bin/sh
# Builds the enclave image of the committed sources in two fresh clones, in folders of different names and with
# different homes, and compares the images byte for byte. Takes two full builds of the enclave.
#
# usage: scripts/reproduce.sh [PACKAGE]     PACKAGE: the enclave's static library (default: twine-enclave-image)
set -eu
package=${1:-twine-enclave-image}
repo=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The toolchain is an input of the image and the same for both; only its users' folders differ.
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
export RUSTUP_HOME
PATH=$(rustc --print sysroot)/bin:$PATH
export PATH
# The builder itself is not what is tested here: build it once, in the checkout.
builder=$(cargo build --quiet --manifest-path "$repo/Cargo.toml" -p twine-image --example build-image \
    --message-format=json | sed -n 's/.*"executable":"\([^"]*build-image\)".*/\1/p')

build() { # FOLDER
    git clone --quiet --no-hardlinks "$repo" "$1/clone"
    mkdir -p "$1/home"
    HOME=$1/home CARGO_HOME=$1/home/cargo "$builder" "$1/clone/enclave" "$package" "$1/out" >"$1/record"
}
build "$work/a"
build "$work/another folder/two"

sha256sum "$work/a/out/twine.sgxs" "$work/another folder/two/out/twine.sgxs" | sed "s|$work/||"
if cmp "$work/a/out/twine.sgxs" "$work/another folder/two/out/twine.sgxs"; then
    echo "the images agree; MRENCLAVE is the SHA-256 above"
else
    echo "the images differ" >&2
    exit 1
fi
