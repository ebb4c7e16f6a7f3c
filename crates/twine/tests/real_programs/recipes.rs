//! Programs that packages carry as C sources only: compiled by the Clang of another package, which is itself a WASI program
//! and runs under Wasmtime here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::catalogue::{CLANG_MODULE, CLANG_SYSROOT, QUICKJS, SQLITE, SQLITE_TESTS};
use crate::process::{Failure, failed};
use crate::program::{Contents, Input, Step, lay};
use crate::sides::Outside;

/// How a program is built.
#[derive(Clone, Copy)]
pub enum Recipe {
    /// QuickJS-ng's command line.
    QuickJs,
    /// SQLite's benchmark.
    Speedtest1,
}

struct Build {
    name: &'static str,
    /// By their path in the compiler's file system.
    sources: &'static [(&'static str, Contents)],
    files: &'static [&'static str],
    flags: &'static [&'static str],
    libraries: &'static [&'static str],
}

const QUICKJS_BUILD: Build = Build {
    name: "qjs.wasm",
    sources: &[("src", Contents::Of(&QUICKJS, "rquickjs-sys-0.14.0/quickjs"))],
    files: &[
        "src/dtoa.c",
        "src/libregexp.c",
        "src/libunicode.c",
        "src/quickjs.c",
        "src/quickjs-libc.c",
        "src/qjs.c",
        "src/gen/repl.c",
        "src/gen/standalone.c",
    ],
    flags: &[
        "-I/src",
        "-D_GNU_SOURCE",
        "-DQJS_BUILD_LIBC",
        "-D_WASI_EMULATED_PROCESS_CLOCKS",
        "-D_WASI_EMULATED_SIGNAL",
    ],
    libraries: &["-lwasi-emulated-process-clocks", "-lwasi-emulated-signal", "-lm"],
};

const SPEEDTEST1_BUILD: Build = Build {
    name: "speedtest1.wasm",
    sources: &[
        ("sqlite", Contents::Of(&SQLITE, "libsqlite3-sys-0.39.1/sqlite3")),
        ("speedtest1.c", Contents::Of(&SQLITE_TESTS, "sqlite3-3.40.1/test/speedtest1.c")),
    ],
    files: &["speedtest1.c", "sqlite/sqlite3.c"],
    flags: &[
        "-I/sqlite",
        "-DSQLITE_THREADSAFE=0",
        "-DSQLITE_DEFAULT_MEMSTATUS=0",
        "-DSQLITE_OMIT_LOAD_EXTENSION",
        "-D_WASI_EMULATED_MMAN",
        "-D_WASI_EMULATED_SIGNAL",
        "-D_WASI_EMULATED_GETPID",
        "-D_WASI_EMULATED_PROCESS_CLOCKS",
    ],
    libraries: &[
        "-lwasi-emulated-mman",
        "-lwasi-emulated-signal",
        "-lwasi-emulated-getpid",
        "-lwasi-emulated-process-clocks",
    ],
};

impl Recipe {
    /// The module, built unless an earlier run has.
    pub fn module(self, cache: &Path) -> Result<PathBuf, Failure> {
        let build = match self {
            Self::QuickJs => &QUICKJS_BUILD,
            Self::Speedtest1 => &SPEEDTEST1_BUILD,
        };
        let built = cache.join("built").join(build.name);
        if !built.exists() {
            let tree = tempfile::tempdir_in(cache)?;
            let module = build.run(cache, tree.path())?;
            fs::create_dir_all(cache.join("built"))?;
            fs::rename(module, &built)?;
        }
        Ok(built)
    }
}

impl Build {
    fn run(&self, cache: &Path, tree: &Path) -> Result<PathBuf, Failure> {
        lay(&[CLANG_SYSROOT], tree, cache)?;
        lay(self.sources, tree, cache)?;
        let mut objects = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            let object = format!("/{number}.o");
            let file = format!("/{file}");
            let mut args = vec!["-O2", "-w", "-c", &file, "-o", &object];
            args.extend(self.flags);
            tool(cache, tree, "clang", &args)?;
            objects.push(object);
        }
        let mut args = vec!["-m", "wasm32", "-z", "stack-size=1048576", "-L/usr/lib/wasm32-wasip1"];
        args.push("/usr/lib/wasm32-wasip1/crt1-command.o");
        args.extend(objects.iter().map(String::as_str));
        args.extend(self.libraries);
        args.extend(["-lc", "/usr/lib/wasm32-unknown-wasip1/libclang_rt.builtins.a", "-o", "/a.wasm"]);
        tool(cache, tree, "wasm-ld", &args)?;
        Ok(tree.join("a.wasm"))
    }
}

fn tool(cache: &Path, tree: &Path, argv0: &'static str, args: &[&str]) -> Result<(), Failure> {
    let step = Step {
        module: CLANG_MODULE,
        argv0: Some(argv0),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        stdin: Input::Text(""),
        unknown_imports_trap: false,
    };
    let ended =
        Outside::new(cache)?.run(&CLANG_MODULE.file(cache, None)?, &step, Stdio::null(), Some(tree))?;
    match ended.status {
        Some(0) => Ok(()),
        status => failed(format!("{argv0} {args:?}: {status:?}: {}", String::from_utf8_lossy(&ended.stderr))),
    }
}
