//! What the trace hook gets: one call with its arguments decoded.

use std::fmt;

use crate::end::Failure;
use crate::errno::Errno;
use crate::memory::GuestMemory;

/// One finished call. Its `Display` is one line in the manner of strace(1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// The WASI function.
    pub name: &'static str,
    /// Arguments by name; pointers to results are left out.
    pub arguments: Vec<(&'static str, Argument)>,
    /// What the call wrote to the program, if it succeeded.
    pub results: Vec<(&'static str, u64)>,
    /// The number that the program gets.
    pub outcome: TracedOutcome,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Number(u64),
    /// A signed number.
    Signed(i64),
    /// Flags, rights or an address.
    Hex(u64),
    /// A string in the program's memory; what is not UTF-8 is replaced.
    Text(String),
    /// A string that is not in the program's memory.
    BadText,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TracedOutcome {
    /// It returned.
    Errno(Errno),
    /// It ended the program: the reason.
    Ended(String),
}

/// How a parameter reads. `Text` takes the next parameter as its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Num,
    Signed,
    Hex,
    Text,
    Len,
    Out32,
    Out64,
}

/// A function's name and parameters, as linked.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [(&'static str, Kind)],
}

impl TracedCall {
    pub(crate) fn decode(
        signature: &Signature,
        raw: &[u64],
        memory: &GuestMemory<'_>,
        outcome: Result<(), Failure>,
    ) -> Self {
        let mut arguments = Vec::new();
        let mut results = Vec::new();
        for (index, (&(name, kind), &value)) in signature.params.iter().zip(raw).enumerate() {
            let address = value as u32;
            let argument = match kind {
                Kind::Num => Argument::Number(value),
                Kind::Signed => Argument::Signed(value as i64),
                Kind::Hex => Argument::Hex(value),
                Kind::Text => {
                    let len = raw.get(index + 1).copied().unwrap_or(0) as u32;
                    memory.bytes(address, len).map_or(Argument::BadText, |bytes| {
                        Argument::Text(String::from_utf8_lossy(bytes).into_owned())
                    })
                }
                Kind::Len => continue,
                Kind::Out32 | Kind::Out64 => {
                    let written = match kind {
                        Kind::Out32 => memory.read_u32(address).map(u64::from),
                        _ => memory.read_u64(address),
                    };
                    if let (Ok(()), Ok(value)) = (outcome, written) {
                        results.push((name, value));
                    }
                    continue;
                }
            };
            arguments.push((name, argument));
        }
        let outcome = match outcome {
            Ok(()) => TracedOutcome::Errno(Errno::SUCCESS),
            Err(Failure::Errno(errno)) => TracedOutcome::Errno(errno),
            Err(Failure::Exit(_)) => TracedOutcome::Ended("exit".to_owned()),
            Err(Failure::Stopped) => TracedOutcome::Ended("stopped".to_owned()),
            Err(Failure::Fault(fault)) => TracedOutcome::Ended(fault.to_string()),
        };
        TracedCall { name: signature.name, arguments, results, outcome }
    }
}

impl fmt::Display for TracedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (index, (name, value)) in self.arguments.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match value {
                Argument::Number(value) => write!(f, "{comma}{name}={value}")?,
                Argument::Signed(value) => write!(f, "{comma}{name}={value}")?,
                Argument::Hex(value) => write!(f, "{comma}{name}={value:#x}")?,
                Argument::Text(value) => write!(f, "{comma}{name}={value:?}")?,
                Argument::BadText => write!(f, "{comma}{name}=?")?,
            }
        }
        match &self.outcome {
            TracedOutcome::Errno(errno) => write!(f, ") = {errno}")?,
            TracedOutcome::Ended(reason) => write!(f, ") ended the program: {reason}")?,
        }
        self.results.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}
