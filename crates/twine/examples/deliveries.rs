//! Many enclaves in a row, each of which attests itself to a key service and fetches its program and a secret: what that
//! takes, and that nothing leaks. `cargo run --release -p twine --example deliveries -- 1000`
//!
//! Service and enclaves share this process, so that a descriptor or a page that either leaks is seen.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use twine::exit::{Source, of_end};
use twine::workload::manifest::{Config, OwnerKey};
use twine::{Folders, Hidden, Image, Io, Options, Program, Runner, StartPhase, Tee, Ways};
use twine_attest::delivery::{Bundle, DeliveryKey, Variable};
use twine_attest::{Policy, sim};
use twine_keys::{Audit, Entry, Service};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Does nothing: what is measured is how it gets there.
const PROGRAM: &str = "(module (memory (export \"memory\") 1) (func (export \"_start\")))";

/// Runs before memory and descriptors are counted: pools and caches are filled then.
const WARM_UP: usize = 20;

fn main() -> Result<()> {
    let count: usize = std::env::args().nth(1).as_deref().unwrap_or("1000").parse()?;
    let folder = tempfile::tempdir()?;
    let (program, pem) = program(folder.path())?;
    let folders = Folders { state: folder.path().join("state"), cache: folder.path().join("cache") };
    let image = Image::embedded(twine::image_format::sigstruct::Variant::Production)?;
    let runner = Runner::with(Tee::Sim, image, &folders)?;
    let service = service(&program, &pem, &runner, folder.path())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let (stop, stopped) = UnixStream::pair()?;
    std::thread::scope(|scope| -> Result<()> {
        let serving = scope.spawn(|| service.serve(&listener, &stopped));
        let measured = deliveries(&runner, &program, &address, count);
        drop(stop);
        let totals = serving.join().map_err(|_| "the service panicked")??;
        measured?;
        println!("the service says: {totals:?}");
        if totals.delivered != (count + WARM_UP) as u64 || totals.refused != 0 {
            return Err("not every connection was a delivery".into());
        }
        Ok(())
    })
}

/// A program whose one variable is delivered, and its deliverer's key.
fn program(folder: &Path) -> Result<(Program, String)> {
    let (key, pem) = OwnerKey::generate()?;
    let public: String = key.public_key().iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.join("program.wat"), PROGRAM)?;
    let manifest = format!(
        "version = 1\n[[workload.delivery]]\nkey = \"{public}\"\n[workload.env]\nTOKEN = {{ delivered = true }}\n\
         [host]\nmodule = \"program.wat\"\n"
    );
    fs::write(folder.join("twine.toml"), manifest)?;
    Ok((Program::from_config(&Config::read(&folder.join("twine.toml"))?)?, pem))
}

fn service(program: &Program, pem: &str, runner: &Runner, folder: &Path) -> Result<Service> {
    let enclave = runner.load(program)?;
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let policy = format!(
        "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n\
         [evidence]\ninsecure_simulation = true\n",
        hex(&enclave.enclave().mrenclave()),
        hex(&enclave.enclave().mrsigner()),
        program.candidate().config_id()
    );
    let bundle = Bundle {
        module: program.module().map(|module| module.to_vec()).transpose()?,
        env: vec![Variable { name: "TOKEN".to_owned(), value: "secret".to_owned() }],
        ..Bundle::default()
    };
    let entry = Entry {
        name: "nothing".to_owned(),
        candidate: program.candidate().clone(),
        presented: program.presented().to_vec(),
        policy: Policy::from_toml(&policy, "policy.toml")?,
        bundle: bundle.to_bytes(),
        per_minute: None,
    };
    let audit = Audit::open(&folder.join("audit.jsonl"))?;
    let limits = (4, Duration::from_secs(10), u32::MAX);
    Ok(Service::new(vec![entry], DeliveryKey::from_pem(pem)?, Arc::new(sim::Simulated), audit, limits))
}

fn deliveries(runner: &Runner, program: &Program, address: &str, count: usize) -> Result<()> {
    let mut phases: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for _ in 0..WARM_UP {
        delivery(runner, program, address, &mut phases)?;
    }
    phases.clear();
    let (descriptors, memory) = (open_descriptors()?, resident()?);
    let started = Instant::now();
    for _ in 0..count {
        delivery(runner, program, address, &mut phases)?;
    }
    let took = started.elapsed();
    println!("{count} deliveries in {took:.1?}: {:.1} a second", count as f64 / took.as_secs_f64());
    println!("median of each phase:");
    for (name, times) in &mut phases {
        times.sort();
        println!("  {:>10.1?}  {name}", times[times.len() / 2]);
    }
    let grown = (open_descriptors()? - descriptors, resident()? - memory);
    println!("grown by {} descriptors, {} KiB of memory ({memory} KiB before)", grown.0, grown.1);
    // What the audit log and the statistics of a thousand runs take is far below.
    if grown.0 > 0 || grown.1 > 16 << 10 {
        return Err("something leaks".into());
    }
    Ok(())
}

/// One enclave from nothing to its end.
fn delivery(
    runner: &Runner,
    program: &Program,
    address: &str,
    phases: &mut BTreeMap<&'static str, Vec<Duration>>,
) -> Result<()> {
    let loaded = runner.load_as(program.candidate().config_id(), program.candidate().config_svn())?;
    let mut note = |name, time| phases.entry(name).or_default().push(time);
    note("1 load and measure", loaded.took());
    let ways = Ways { listener: None, services: vec![(String::new(), address.to_owned())] };
    let options = Options { delivery: Some(ways), ..Options::default() };
    let mut io = Io::inherit()?;
    io.streams.stdin = File::open("/dev/null")?.into();
    let report = loaded.run_hidden(Hidden::default(), io, options);
    if of_end(&report.end) != (Source::Guest, 0) {
        return Err(format!("a delivery failed: {:?}", report.end).into());
    }
    let mut before = Duration::ZERO;
    for (phase, since) in &report.stats.phases {
        let name = match phase {
            StartPhase::Launch => "2 launch",
            StartPhase::Attested => "3 connect and attest",
            StartPhase::Delivered => "4 deliver",
            StartPhase::Runtime => "5 runtime",
            StartPhase::Compiled => "6 compile (or from the cache)",
            StartPhase::Cached => "6 compile (or from the cache)",
            StartPhase::GuestStart => "7 instantiate",
        };
        note(name, since.saturating_sub(before));
        before = *since;
    }
    Ok(())
}

fn open_descriptors() -> Result<i64> {
    Ok(fs::read_dir("/proc/self/fd")?.count() as i64)
}

/// Resident memory in KiB.
fn resident() -> Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
