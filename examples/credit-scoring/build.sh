#!/bin/sh
# Builds the program for WebAssembly and for this machine, with one compiler: sh build.sh [FOLDER [CARGO ARGS]]
# leaves credit-scoring.wasm and credit-scoring in the folder (default: here, target). `--features evidence` is for Twine.
#
# With rustup: `rustup target add wasm32-wasip1`, once. Where that target is not installed, Debian's packages rustc-web,
# cargo-web, rust-web-src, rust-web-llvm and lld-22 do, which compile the standard library too; WASI_SYSROOT names the C
# library for WASI (a folder with lib/wasm32-wasip1; by default the one of bench/scripts/install-tools.sh).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/target}
[ $# -eq 0 ] || shift
target=${CARGO_TARGET_DIR:-$here/target}
mkdir -p "$out" "$target"
out=$(cd "$out" && pwd)
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR="$target"
cd "$here"
# Vectors of 128 bits: part of WebAssembly 2.0, and of x86-64 as SSE2. Several of them in each round of a loop, as LLVM does for
# x86-64 by itself, and addresses that still fit the offset which each load and store has.
vectors='-Ctarget-feature=+simd128 -Cllvm-args=-force-vector-interleave=4 -Cllvm-args=-disable-lsr'
sysroot=${WASI_SYSROOT:-$here/../../bench/target/work/tools/sysroot}

if [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip1" ]; then
    cargo=cargo
    RUSTFLAGS=$vectors cargo build --locked --release --target wasm32-wasip1 "$@"
elif [ -d /usr/lib/rustlib/src ] && command -v wasm-ld-22 >/dev/null && [ -d "$sysroot/lib/wasm32-wasip1" ]; then
    cargo=/usr/bin/cargo
    # -Zbuild-std is for nightly compilers otherwise.
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    libraries=$sysroot/lib/wasm32-wasip1
    RUSTFLAGS="$vectors -Clinker=wasm-ld-22 -Clink-self-contained=no -Lnative=$libraries \
-Clink-arg=$libraries/crt1-command.o -Clink-arg=-lc" \
        $cargo build --locked --release --target wasm32-wasip1 -Zbuild-std=std,panic_abort "$@"
else
    echo "build.sh: there is no compiler for wasm32-wasip1; run: rustup target add wasm32-wasip1" >&2
    exit 69
fi
$cargo build --locked --release "$@"
cp "$target/wasm32-wasip1/release/credit-scoring.wasm" "$target/release/credit-scoring" "$out/"
