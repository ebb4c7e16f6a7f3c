//! PolyBench's thirty kernels, from one source for both.

use std::path::Path;

use anyhow::Result;

use crate::kit::Kit;
use crate::process;
use crate::results::Size;
use crate::row::{Invocation, NATIVE, Row, Side, Summary, TWINE, WASMTIME};
use crate::workload::Workload;

/// Thirty kernels of linear algebra, statistics, stencils and dynamic programming.
pub struct Polybench;

const KERNELS: [&str; 30] = [
    "2mm",
    "3mm",
    "adi",
    "atax",
    "bicg",
    "cholesky",
    "correlation",
    "covariance",
    "deriche",
    "doitgen",
    "durbin",
    "fdtd-2d",
    "floyd-warshall",
    "gemm",
    "gemver",
    "gesummv",
    "gramschmidt",
    "heat-3d",
    "jacobi-1d",
    "jacobi-2d",
    "lu",
    "ludcmp",
    "mvt",
    "nussinov",
    "seidel-2d",
    "symm",
    "syr2k",
    "syrk",
    "trisolv",
    "trmm",
];

/// A kernel that takes less natively is repeated within its process, so that what is compared is the kernel and not the
/// start of an enclave, some 30 ms.
const LEAST_SECONDS: f64 = 3.0;

impl Workload for Polybench {
    fn name(&self) -> &'static str {
        "polybench"
    }

    fn about(&self) -> &'static str {
        "The thirty kernels of PolyBench/C, written anew from their definitions, with the sizes of its data sets (LARGE unless \
         the command says otherwise), in double precision (floyd-warshall and nussinov in integers, as there). Native code and \
         WebAssembly come from the same source by the same compiler with -O3. LLVM works on several vectors in each round of \
         a loop for x86-64 and on one for WebAssembly, unless it is told, which is done here (-mllvm \
         -force-vector-interleave=4). Short kernels are repeated within the process; checksums of what each leaves behind \
         agree on all sides."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let kernels = if kit.quick() { &KERNELS[..2] } else { &KERNELS[..] };
        let wanted = kernels.iter().filter(|kernel| kit.wants(&format!("polybench/{kernel}")));
        wanted.map(|kernel| row(kit, kernel)).collect()
    }

    fn summaries(&self) -> Vec<Summary> {
        vec![
            Summary { title: "PolyBench to native", of: TWINE, to: NATIVE, at_most: Some(0.97) },
            Summary { title: "PolyBench to Wasmtime outside", of: TWINE, to: WASMTIME, at_most: Some(1.03) },
            Summary { title: "Wasmtime outside to native", of: WASMTIME, to: NATIVE, at_most: None },
        ]
    }
}

/// Several vectors in each round of a loop, as LLVM decides by itself for x86-64.
const LOOPS: [&str; 2] = ["-mllvm", "-force-vector-interleave=4"];

fn row(kit: &Kit, kernel: &str) -> Result<Row> {
    let source = [kit.sources("polybench").join(format!("{kernel}.c"))];
    let size = match kit.size() {
        Size::Mini => "MINI",
        Size::Small => "SMALL",
        Size::Medium => "MEDIUM",
        Size::Large => "LARGE",
    };
    let flags = [format!("-D{size}")];
    let native = kit.native("polybench", kernel, &source, &flags)?;
    let module = kit.wasm("polybench", kernel, &source, &[&flags, &LOOPS.map(str::to_owned)[..]].concat())?;
    let times = if kit.quick() { 1 } else { times(&native)? }.to_string();
    let args = [times.as_str()];
    let sides = vec![
        Side::timed(NATIVE, Invocation::new(&native).args(args)),
        Side::timed(WASMTIME, kit.peer(&[], &module, &args)),
        Side::timed(TWINE, kit.twine(&[], &module, &args)),
    ];
    let row = Row::timed(format!("polybench/{kernel}"), kernel, sides);
    Ok(row.hold(TWINE, NATIVE, 1.35).hold(TWINE, WASMTIME, 1.03))
}

/// How often a kernel has to run to take long enough. The first run also makes the data, so what it takes says little.
fn times(native: &Path) -> Result<u32> {
    let mut times = 1;
    loop {
        let command = Invocation::new(native).arg(times.to_string());
        let took = process::run(&command, false)?.succeeded(&command)?.processor.as_secs_f64();
        if took >= LEAST_SECONDS {
            return Ok(times);
        }
        let more = (1.1 * LEAST_SECONDS / took).min(10.0);
        times = (f64::from(times) * more).ceil() as u32;
    }
}
