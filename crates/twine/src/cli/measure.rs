//! `twine measure`: what will be attested, without running anything.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use twine::Program;
use twine::image_format::{inspect, sgxs};
use twine::workload::manifest::Config;
use twine_host::run::Module;

use super::enclave::ImageFiles;
use super::failure::Failure;
use super::output::{Output, Status, note};
use super::workload::Workload;

pub const SCHEMA: &str = "twine.measure/1";

/// Options of `twine measure`.
#[derive(Args)]
pub struct Options {
    /// Of the debug enclave
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    files: ImageFiles,
    /// Say why two manifests, two modules or two images have different identities; exits 1 if they have
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["debug", "image", "sigstruct"])]
    diff: Option<Vec<PathBuf>>,
    #[command(flatten)]
    workload: Workload,
}

#[derive(Serialize)]
struct Data {
    mrenclave: String,
    mrsigner: String,
    isvprodid: u16,
    isvsvn: u16,
    debug: bool,
    workload: Option<WorkloadIdentity>,
}

#[derive(Serialize)]
struct WorkloadIdentity {
    configid: String,
    configsvn: u16,
    digest: String,
    module_sha256: String,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Difference {
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    name: String,
    old: Option<String>,
    new: Option<String>,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        if let Some([old, new]) = self.diff.as_deref() {
            let changes = diff(old, new)?;
            let (status, code) = match changes.is_empty() {
                true => (Status::Success, ExitCode::SUCCESS),
                false => (Status::Fail, ExitCode::FAILURE),
            };
            output.result(SCHEMA, status, &Difference { changes });
            return Ok(code);
        }
        let image = self.files.open(self.debug)?;
        let measured = sgxs::measure(image.sgxs())?;
        let signer = image.sigstruct().verify()?;
        let fields = image.sigstruct().fields();
        if measured != fields.enclavehash {
            return Err(Failure::new(
                twine::exit::Code::Refused,
                "image",
                format!(
                    "{}: MRENCLAVE is {}, but the SIGSTRUCT is for {}; sign this image, or name its own SIGSTRUCT",
                    image.name(),
                    hex::encode(measured),
                    hex::encode(fields.enclavehash)
                ),
            ));
        }
        let workload = match self.workload.is_named() {
            true => {
                let program = self.workload.program()?;
                if !program.module().is_none_or(is_module) {
                    note(
                        "this is no WebAssembly module: it has an identity, and no enclave runs it; see `twine inspect`",
                    );
                }
                Some(WorkloadIdentity::of(&program))
            }
            false => None,
        };
        let data = Data {
            mrenclave: hex::encode(measured),
            mrsigner: hex::encode(signer.mrsigner()),
            isvprodid: fields.isvprodid,
            isvsvn: fields.isvsvn,
            debug: image.is_debug(),
            workload,
        };
        output.result(SCHEMA, Status::Success, &data);
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether the enclave will take it for a module at all.
fn is_module(module: &Module) -> bool {
    const HEAD: [u8; 8] = *b"\0asm\x01\0\0\0";
    match module {
        Module::Bytes(bytes) => bytes.starts_with(&HEAD),
        Module::File(file) => {
            let mut head = [0; HEAD.len()];
            file.read_exact_at(&mut head, 0).is_ok() && head == HEAD
        }
    }
}

impl WorkloadIdentity {
    fn of(program: &Program) -> Self {
        let candidate = program.candidate();
        let fields = program.workload().describe();
        Self {
            configid: candidate.config_id().to_string(),
            configsvn: candidate.config_svn(),
            digest: candidate.digest().to_string(),
            module_sha256: program.workload().module.to_string(),
            fields: fields.into_iter().map(|field| Field { name: field.name, value: field.value }).collect(),
        }
    }
}

fn diff(old: &Path, new: &Path) -> Result<Vec<Change>, Failure> {
    match (is_image(old), is_image(new)) {
        (true, true) => Ok(diff_images(&facts(old)?, &facts(new)?)),
        (false, false) => {
            let changes = program(old)?.workload().diff(program(new)?.workload());
            let change = |change: twine::workload::Change| Change {
                name: change.name,
                old: change.old,
                new: change.new,
            };
            Ok(changes.into_iter().map(change).collect())
        }
        _ => Err(Failure::usage("--diff compares two images, or two manifests or modules")),
    }
}

fn is_image(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sgxs")
}

fn program(path: &Path) -> Result<Program, Failure> {
    let manifest = path.extension().is_some_and(|extension| extension == "toml");
    let config = if manifest { Config::read(path)? } else { Config::implicit("", path, &[])? };
    Ok(Program::from_config(&config)?)
}

/// What an image says about itself, and, where the file is there, what it was built from.
fn facts(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let image = fs::read(path).map_err(Failure::reading(path))?;
    let mut facts = BTreeMap::new();
    flatten("image", &serde_json::to_value(inspect::image(&image[..])?).unwrap_or_default(), &mut facts);
    if let Ok(record) = fs::read(path.with_extension("build.json"))
        && let Ok(record) = serde_json::from_slice(&record)
    {
        flatten("build", &record, &mut facts);
    }
    Ok(facts)
}

fn flatten(name: &str, value: &Value, facts: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, facts));
        }
        Value::String(text) => drop(facts.insert(name.to_owned(), text.clone())),
        other => drop(facts.insert(name.to_owned(), other.to_string())),
    }
}

fn diff_images(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| Change { name: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() })
        .collect()
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "MRENCLAVE   {}", self.mrenclave)?;
        writeln!(f, "MRSIGNER    {}", self.mrsigner)?;
        writeln!(f, "ISVPRODID   {}", self.isvprodid)?;
        writeln!(f, "ISVSVN      {}", self.isvsvn)?;
        writeln!(f, "debug       {}", self.debug)?;
        let Some(workload) = &self.workload else { return Ok(()) };
        writeln!(f, "CONFIGID    {}", workload.configid)?;
        writeln!(f, "CONFIGSVN   {}", workload.configsvn)?;
        writeln!(f, "workload    sha512:{}", workload.digest)?;
        workload.fields.iter().try_for_each(|field| writeln!(f, "  {} = {}", field.name, field.value))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return writeln!(f, "the same");
        }
        for change in &self.changes {
            let old = change.old.as_deref().unwrap_or("(none)");
            writeln!(f, "{}: {old} -> {}", change.name, change.new.as_deref().unwrap_or("(none)"))?;
        }
        Ok(())
    }
}
