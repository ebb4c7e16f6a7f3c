//! `twine anchor`: the service that keeps volumes fresh, for the owner's machine.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;
use twine::exit::Code;
use twine::workload::Sha256;
use twine::workload::manifest::OwnerKey;
use twine_volume::{AnchorService, FolderLedger};

use super::failure::Failure;
use super::output::{Output, Status, note};

pub const SCHEMA: &str = "twine.anchor/1";

/// Most bytes of a request; what is longer is none.
const REQUEST: usize = 512;
/// How long a peer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Verbs of `twine anchor`.
#[derive(Subcommand)]
pub enum Options {
    /// Remember the newest state of volumes, for workloads that name the key in workload.mount.service
    Serve {
        /// The service's key, of the kind that `twine key create --kind owner` makes
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Folder for what is remembered; whoever can restore it can roll volumes back
        #[arg(long, value_name = "FOLDER")]
        ledger: PathBuf,
        /// Address to listen on
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7420")]
        listen: String,
    },
}

#[derive(Serialize)]
struct Serving {
    service: String,
    address: String,
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "service     {}\nlistens on  {}", self.service, self.address)
    }
}

impl Options {
    pub fn execute(self, output: &Output) -> Result<ExitCode, Failure> {
        let Self::Serve { key, ledger, listen } = self;
        let pair = OwnerKey::from_pem(&fs::read_to_string(&key).map_err(Failure::reading(&key))?)?;
        let folder = FolderLedger::open(&ledger).map_err(Failure::writing(&ledger))?;
        let service = AnchorService::new(pair.into_pair(), folder);
        let unheard = |error: io::Error| {
            Failure::new(Code::Io, "io", format!("--listen {listen}: {error}; name a free address"))
        };
        let listener = TcpListener::bind(&listen).map_err(unheard)?;
        let address = listener.local_addr().map_err(unheard)?.to_string();
        let serving = Serving { service: Sha256(service.public_key()).to_string(), address };
        output.result(SCHEMA, Status::Success, &serving);
        let service = Arc::new(Mutex::new(service));
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let service = service.clone();
            // One slow peer keeps nobody else waiting.
            std::thread::spawn(move || {
                if let Err(error) = serve(stream, &service) {
                    note(format_args!("a request was not answered: {error}"));
                }
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One question and its answer, each behind its length as a `u32`.
fn serve(mut stream: TcpStream, service: &Mutex<AnchorService<FolderLedger>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > REQUEST {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message)?;
    let answer = service.lock().unwrap_or_else(PoisonError::into_inner).answer(&message)?;
    let answer = answer.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no volume has signed it"))?;
    let length = u32::try_from(answer.len()).map_err(|_| ErrorKind::InvalidData)?;
    stream.write_all(&[&length.to_le_bytes(), &answer[..]].concat())
}
