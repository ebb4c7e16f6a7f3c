//! `twine deploy`: verify an enclave that waits, then deliver code and secrets to it, and get the result.

use std::fmt;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use twine::exit::{self, Code, Source};
use twine::workload::manifest::Config;
use twine::{End, Outcome, Program};
use twine_attest::delivery::{
    Bundle, Channel, ChannelError, DeliveryKey, Ended, MAX_REPLY, Message, Secrets, delivering_client,
};
use twine_attest::ratls::{Hello, PeerVerifier};
use twine_attest::{Judgement, Policy, Verdict};

use super::collateral;
use super::failure::Failure;
use super::output::{Output, Status, note};
use super::verify::Checks;

pub const SCHEMA: &str = "twine.deploy/1";

/// Options of `twine deploy`.
#[derive(Args)]
pub struct Options {
    /// Where the enclave's host waits (`twine run --await-owner`)
    #[arg(value_name = "HOST:PORT")]
    address: String,
    /// The workload to deliver; its module is the file that host.module names
    #[arg(short = 'c', long, value_name = "FILE")]
    manifest: PathBuf,
    /// What is accepted (policy.toml, docs/attestation.md)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The key that workload.delivery.key names (`twine key create --owner`)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The secrets that the manifest says are delivered (secrets.toml)
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    #[command(flatten)]
    collateral: collateral::Source,
}

/// The result as JSON.
#[derive(Serialize)]
struct Data {
    verification: Judgement,
    exit: Option<Exit>,
    message: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
struct Exit {
    source: Source,
    code: u8,
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let file = self.policy.display().to_string();
        let text = fs::read_to_string(&self.policy).map_err(Failure::reading(&self.policy))?;
        let policy = Policy::from_toml(&text, &file)?;
        let key = delivery_key(&self.key)?;
        let program = Program::from_config(&Config::read(&self.manifest)?)?;
        let bundle = bundle(&program, &key, self.secrets.as_deref())?;
        let collateral = self.collateral.source()?;

        let refused = |error: &dyn fmt::Display| {
            Failure::new(Code::Io, "connection", format!("{}: {error}", self.address))
        };
        let mut stream = TcpStream::connect(&self.address)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| {
                refused(&format_args!("{error}; is `twine run --await-owner` waiting there?"))
            })?;
        let own = Hello::new().map_err(|error| refused(&error))?;
        own.write(&mut stream).map_err(|error| refused(&error))?;
        // The enclave's nonce is for peers that attest themselves.
        Hello::read(&mut stream).map_err(|error| refused(&error))?;
        let verifier = PeerVerifier::new(policy, collateral, &own, Some(program.candidate().clone()))
            .insecure_allow_simulation(self.collateral.allow_simulation)
            .delivering();
        let verifier = Arc::new(verifier);
        let config = delivering_client(verifier.clone(), &key).map_err(|error| refused(&error))?;
        let channel = Channel::connect(config, stream);
        let Some(judgement) = verifier.judgement().cloned() else {
            let why = channel.err().map_or_else(String::new, |error| error.to_string());
            return Err(refused(&format_args!("the enclave showed no evidence: {why}")));
        };
        if judgement.evidence.as_ref().is_some_and(|evidence| evidence.simulated) {
            note("simulated processor: the evidence proves nothing");
        }
        // Secrets go to evidence that the policy accepts, and nowhere else.
        if verifier.matched().is_none() {
            return Ok(refuse(output, judgement));
        }
        let mut channel = channel.map_err(|error| refused(&error))?;
        let ended =
            deliver(&mut channel, &program, &bundle, output.is_json()).map_err(|error| refused(&error))?;
        channel.close();
        finish(output, judgement, ended, &program)
    }
}

/// The key in a file.
pub fn delivery_key(path: &Path) -> Result<DeliveryKey, Failure> {
    let pem = fs::read_to_string(path).map_err(Failure::reading(path))?;
    DeliveryKey::from_pem(&pem).map_err(|error| {
        let failure = Failure::from(error);
        Failure { message: format!("{}: {}", path.display(), failure.message), ..failure }
    })
}

/// What goes to the enclave.
pub fn bundle(program: &Program, key: &DeliveryKey, secrets: Option<&Path>) -> Result<Bundle, Failure> {
    let workload = program.workload();
    let wrong = |message: &str, remedy: &str| {
        let remedy = Some(remedy.to_owned());
        let field = Some("workload.delivery.key".to_owned());
        Failure { field, remedy, ..Failure::new(Code::Config, "manifest", message) }
    };
    if workload.deliverers().is_empty() {
        return Err(wrong("the manifest names nobody who delivers", "set it to the public half of the key"));
    }
    let deliverer = workload.deliverer(&key.public_key()).ok_or_else(|| {
        wrong("none is the public half of the key", "deliver with a key that the manifest names")
    })?;
    let secrets = match secrets {
        Some(path) => {
            let base = path.parent().unwrap_or(Path::new(""));
            Secrets::read(path)?.bundle(deliverer, base).map_err(|e| e.at(path.display().to_string()))?
        }
        None => Secrets::none().bundle(deliverer, Path::new(""))?,
    };
    let unread = |error| Failure::new(Code::Io, "io", format!("the module cannot be read: {error}"));
    Ok(Bundle { module: program.module().map(twine::Module::to_vec).transpose().map_err(unread)?, ..secrets })
}

/// Sends the bundle and passes the program's output on.
fn deliver(
    channel: &mut Channel<TcpStream>,
    program: &Program,
    bundle: &Bundle,
    json: bool,
) -> Result<Result<Ended, String>, ChannelError> {
    match channel.deliver(program.presented(), &bundle.to_bytes()) {
        Ok(()) => note("delivered"),
        Err(refused @ ChannelError::Refused(_)) => return Ok(Err(refused.to_string())),
        Err(error) => return Err(error),
    }
    loop {
        match Message::read(channel, MAX_REPLY)? {
            // A reader that went away does not want the rest.
            Message::Stdout(bytes) if !json => {
                drop(stdout().write_all(&bytes).and_then(|()| stdout().flush()))
            }
            Message::Stdout(bytes) | Message::Stderr(bytes) => drop(stderr().write_all(&bytes)),
            Message::Ended(ended) => return Ok(Ok(ended)),
            other => return Err(ChannelError::Unexpected(other.name())),
        }
    }
}

fn refuse(output: &Output, verification: Judgement) -> ExitCode {
    note(format_args!(
        "nothing was delivered; the evidence is not what the policy asks for\n{}",
        Checks(&verification)
    ));
    let code = match verification.verdict {
        Verdict::Accepted | Verdict::Refused => Code::Refused,
        Verdict::Malformed => Code::BadInput,
        Verdict::NoCollateral => Code::Config,
    };
    if output.is_json() {
        output.result(SCHEMA, Status::Fail, &Data { verification, exit: None, message: None });
    }
    code.into()
}

fn finish(
    output: &Output,
    verification: Judgement,
    ended: Result<Ended, String>,
    program: &Program,
) -> Result<ExitCode, Failure> {
    let (exit, message) = match ended {
        Err(why) => {
            let exit = Exit { source: Source::Runtime, code: Code::Refused as u8 };
            (exit, Some(why))
        }
        Ok(Ended { outcome, code, message }) => {
            let outcome = Outcome::from_word(outcome.into()).unwrap_or(Outcome::Failed);
            let end = End::Finished { outcome, code, message };
            let (source, code) = exit::of_end(&end);
            (
                Exit { source, code },
                super::run::explain_end(&end, program.workload().limits.fuel, program.timeout()),
            )
        }
    };
    message.iter().for_each(note);
    if output.is_json() {
        let good = exit.source == Source::Guest && exit.code == 0;
        let status = if good { Status::Success } else { Status::Fail };
        output.result(SCHEMA, status, &Data { verification, exit: Some(exit), message });
    }
    Ok(ExitCode::from(exit.code))
}

impl fmt::Display for Data {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As text a delivery prints what the program prints.
        Ok(())
    }
}
