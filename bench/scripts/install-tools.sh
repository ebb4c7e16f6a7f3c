#!/bin/sh
# What the benchmark's C programs are built with: clang 22 of Debian for both sides, and the C library for WASI out of the
# npm package @yowasp/clang. Does nothing where it is there.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/target/work/tools
if ! command -v clang-22 >/dev/null || ! command -v wasm-ld-22 >/dev/null ||
    [ ! -e /usr/lib/llvm-22/lib/clang/22/lib/wasi/libclang_rt.builtins-wasm32.a ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update
    $sudo apt-get install --yes --no-install-recommends clang-22 lld-22 libclang-rt-22-dev-wasm32 libc6-dev
fi
if [ ! -e "$tools/sysroot/include" ]; then
    mkdir -p "$tools"
    rm -rf "$tools/npm" "$tools/sysroot.part"
    mkdir -p "$tools/npm" "$tools/sysroot.part"
    (cd "$tools/npm" && npm pack --silent @yowasp/clang@22.0.0-git20542-10 >/dev/null && tar xzf ./*.tgz)
    tar xf "$tools/npm/package/gen/llvm-resources.tar" -C "$tools/sysroot.part"
    rm -rf "$tools/npm"
    mv "$tools/sysroot.part" "$tools/sysroot"
fi
