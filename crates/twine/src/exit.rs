//! Exit codes: the guest's own, or one of a fixed set.

use twine_abi::calls::Outcome;
use twine_host::run::End;

/// What the runtime's own exit codes mean; the numbers are those of sysexits(3), timeout(1) and a shell's SIGABRT.
///
/// A guest may end with any of these numbers itself: [`Source`] tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The command line is wrong (EX_USAGE).
    Usage = 64,
    /// A module, image or SIGSTRUCT is malformed, or asks for what is not there (EX_DATAERR).
    BadInput = 65,
    /// A file that was named is not there (EX_NOINPUT).
    MissingFile = 66,
    /// No trusted execution environment of the kind asked for (EX_UNAVAILABLE).
    NoTee = 69,
    /// The enclave or this program failed (EX_SOFTWARE).
    Internal = 70,
    /// Reading or writing failed: state, cache, output (EX_IOERR).
    Io = 74,
    /// A volume is older than its anchor remembers, or another history of it has the anchor (EX_PROTOCOL).
    RolledBack = 76,
    /// Refused by identity or policy: signature, measurement, CONFIGID (EX_NOPERM).
    Refused = 77,
    /// The configuration is wrong, or asks for what this release does not have (EX_CONFIG).
    Config = 78,
    /// The time or the fuel is used up, as timeout(1) has it.
    Budget = 124,
    /// A WebAssembly trap: 128 + SIGABRT, as Wasmtime has it.
    Trap = 134,
}

/// Who an exit code comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Source {
    /// The program: it returned from `_start` or called `proc_exit`.
    Guest,
    /// Twine: the number is a [`Code`].
    Runtime,
}

/// The exit code of a run, and whose it is.
///
/// Of a guest's status the low 8 bits are left, as of every Unix process.
pub fn of_end(end: &End) -> (Source, u8) {
    match (end, code_of(end)) {
        (_, Some(code)) => (Source::Runtime, code as u8),
        (End::Finished { code, .. }, None) => (Source::Guest, (code & 0xff) as u8),
        (_, None) => (Source::Runtime, Code::Internal as u8),
    }
}

/// The runtime's code for an end that is not the guest's own.
pub fn code_of(end: &End) -> Option<Code> {
    Some(match end {
        End::Finished { outcome, .. } => match outcome {
            Outcome::Exited => return None,
            Outcome::Trapped => Code::Trap,
            Outcome::OutOfFuel | Outcome::Stopped => Code::Budget,
            Outcome::BadModule | Outcome::BadVolume => Code::BadInput,
            Outcome::Refused => Code::Refused,
            Outcome::Failed => Code::Internal,
            Outcome::NotWritten => Code::Io,
            Outcome::RolledBack => Code::RolledBack,
        },
        End::TimedOut => Code::Budget,
        End::Died(_) | End::Broken(_) => Code::Internal,
    })
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
