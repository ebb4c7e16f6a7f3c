//! The case study: credit scoring on private portfolios, `examples/credit-scoring`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::kit::Kit;
use crate::row::{Invocation, NATIVE, Row, Side, TWINE, WASMTIME};
use crate::workload::Workload;

/// The case study.
pub struct CaseStudy;

/// Who has positions.
const INSTITUTIONS: [&str; 3] = ["alpha", "beta", "gamma"];
/// Who gets the report.
const LENDER: &str = "lender";

/// A size of the data, and how much is simulated.
#[derive(Clone, Copy)]
struct Size {
    borrowers: u32,
    /// Of each.
    positions: u32,
    paths: u32,
}

/// The second has 800 MB of positions; a run takes a minute.
const SIZES: [Size; 2] = [
    Size { borrowers: 10, positions: 50_000, paths: 100_000 },
    Size { borrowers: 1_000, positions: 50_000, paths: 100_000 },
];
const QUICK: [Size; 1] = [Size { borrowers: 2, positions: 300, paths: 1_000 }];

impl Workload for CaseStudy {
    fn name(&self) -> &'static str {
        "case"
    }

    fn about(&self) -> &'static str {
        "The case study of docs/case-study.md: three institutions' positions, priced in up to 100,750 worlds; value at risk, expected \
         shortfall, stresses and a score for each borrower. One Rust program, built for both sides by one compiler with \
         vectors of 128 bits. Whole processes, with start-up and reading the positions: plain files for native code and \
         Wasmtime; for Twine encrypted volumes under their owners' keys, which a debug enclave takes from the host, so that \
         no key service is in the figures. Its report goes into a new file, or a new volume. All sides must print the same \
         results to the last digit."
    }

    fn rows(&self, kit: &Kit) -> Result<Vec<Row>> {
        let sizes: &[Size] = if kit.quick() { &QUICK } else { &SIZES };
        let id = |size: &Size| format!("case/{}x{}", size.borrowers, size.positions);
        let wanted: Vec<_> = sizes.iter().filter(|size| kit.wants(&id(size))).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let program = Program::build(kit)?;
        wanted.into_iter().map(|size| program.row(id(size), *size)).collect()
    }
}

/// The program, built for both sides.
struct Program<'a> {
    kit: &'a Kit,
    native: PathBuf,
    module: PathBuf,
}

impl<'a> Program<'a> {
    fn build(kit: &'a Kit) -> Result<Self> {
        let folder = kit.folder("case")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/credit-scoring/build.sh");
        run(Command::new("sh").arg(&script).arg(&folder).env("CARGO_TARGET_DIR", folder.join("target")))?;
        Ok(Self { kit, native: folder.join("credit-scoring"), module: folder.join("credit-scoring.wasm") })
    }

    fn row(&self, id: String, Size { borrowers, positions, paths }: Size) -> Result<Row> {
        let folder = self.kit.folder(&format!("case/{borrowers}x{positions}"))?;
        let volumes = self.volumes(&folder, borrowers, positions)?;
        let at = |name: &str| folder.join(name).display().to_string();
        let native = Invocation::new(&self.native)
            .args(arguments([&at("market"), &at("positions"), &at("out")], paths));
        let [market, data, out] = ["market", "positions", "out"].map(|name| format!("{}::/{name}", at(name)));
        let dirs = ["--dir", &market, "--dir", &data, "--dir", &out];
        let guest = arguments(["/market", "/positions", "/out"], paths);
        let guest: Vec<&str> = guest.iter().map(String::as_str).collect();
        let sides = vec![
            Side::timed(NATIVE, native).before(emptied(folder.join("out"))),
            Side::timed(WASMTIME, self.kit.peer(&dirs, &self.module, &guest))
                .before(emptied(folder.join("out"))),
            Side::timed(TWINE, volumes.run(self, &guest)).before(volumes.renewed()),
        ];
        let title = format!("{borrowers} borrowers with {positions} positions each, {paths} simulated days");
        let row = Row::timed(id, title, sides);
        Ok(if self.kit.quick() { row } else { row.hold(TWINE, NATIVE, 1.1).hold(TWINE, WASMTIME, 1.03) })
    }

    /// Makes data and volumes of this size, if they are not there.
    fn volumes(&self, folder: &Path, borrowers: u32, positions: u32) -> Result<Volumes> {
        let volumes = Volumes(folder.to_owned());
        let done = folder.join("done");
        if done.exists() {
            return Ok(volumes);
        }
        let data = folder.join("positions");
        run(Command::new(&self.native).arg("generate").arg(&data).args([
            "--borrowers",
            &borrowers.to_string(),
            "--positions",
            &positions.to_string(),
        ]))?;
        fs::create_dir_all(folder.join("market"))?;
        fs::rename(data.join("market.json"), folder.join("market/market.json"))?;
        for name in INSTITUTIONS {
            let file = format!("{name}.positions");
            fs::create_dir_all(data.join(name))?;
            fs::rename(data.join(&file), data.join(name).join(&file))?;
        }
        let twine = |args: &[&str]| {
            run(Command::new(self.kit.twine_program())
                .current_dir(folder)
                .env("TWINE_VOLUME_KEY", "key")
                .args(args))
        };
        for name in INSTITUTIONS.iter().chain(&[LENDER]) {
            let _ = fs::remove_file(folder.join(format!("{name}.volume")));
        }
        let _ = fs::remove_file(folder.join("key"));
        twine(&["key", "create", "--kind", "volume", "key"])?;
        for name in INSTITUTIONS {
            let (plain, volume) = (format!("positions/{name}/{name}.positions"), format!("{name}.volume"));
            twine(&["volume", "create", &volume])?;
            twine(&["volume", "cp", &plain, &format!("{volume}::/")])?;
        }
        twine(&["volume", "create", "empty.volume"])?;
        fs::write(folder.join("twine.toml"), manifest()?)?;
        fs::write(done, "")?;
        Ok(volumes)
    }
}

/// The folder with volumes, their key and the manifest that mounts them.
struct Volumes(PathBuf);

impl Volumes {
    fn run(&self, program: &Program, args: &[&str]) -> Invocation {
        let manifest = self.0.join("twine.toml").display().to_string();
        let mut options = vec!["--debug".to_owned(), "--manifest".to_owned(), manifest];
        for name in INSTITUTIONS.iter().chain(&[LENDER]) {
            options.push("--insecure-volume-key".to_owned());
            options.push(format!("{name}={}", self.0.join("key").display()));
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        program.kit.twine(&options, &program.module, args)
    }

    /// Gives the lender an empty volume.
    fn renewed(&self) -> impl Fn() -> Result<()> + 'static {
        let (empty, volume) = (self.0.join("empty.volume"), self.0.join("lender.volume"));
        move || {
            fs::copy(&empty, &volume).with_context(|| volume.display().to_string())?;
            Ok(())
        }
    }
}

/// The program's arguments, with the places of market, positions and results.
fn arguments([market, positions, out]: [&str; 3], paths: u32) -> Vec<String> {
    let mut args =
        vec!["score".to_owned(), format!("--paths={paths}"), format!("--market={market}/market.json")];
    args.extend(INSTITUTIONS.map(|name| format!("--positions={name}={positions}/{name}/{name}.positions")));
    args.extend([format!("--report={out}/report.json"), format!("--statement={out}/statement.json")]);
    args
}

/// A volume for each institution, which only reads, and one for the lender.
fn manifest() -> Result<String> {
    let mut text = "version = 1\n[[workload.mount]]\nguest = \"/market\"\nkind = \"measured\"\n".to_owned();
    let mut paths = "[host.paths]\n\"/market\" = \"market\"\n".to_owned();
    let places = INSTITUTIONS.map(|name| (name, format!("/positions/{name}"), true));
    for (name, guest, read_only) in places.into_iter().chain([(LENDER, "/out".to_owned(), false)]) {
        write!(
            text,
            "[[workload.mount]]\nguest = \"{guest}\"\nkind = \"volume\"\nname = \"{name}\"\nkey = \"owner\"\n\
             read_only = {read_only}\n"
        )?;
        writeln!(paths, "\"{guest}\" = \"{name}.volume\"")?;
    }
    Ok(text + &paths)
}

/// Makes a folder, or empties it.
fn emptied(folder: PathBuf) -> impl Fn() -> Result<()> + 'static {
    move || {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        Ok(fs::create_dir_all(&folder)?)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
