//! The functions. Each checks all of its pointers before it does anything, reads its inputs whole, and writes last.

#![allow(clippy::too_many_arguments, reason = "the program's ABI")]

use twine_attest::{
    Expected, Inputs, Policy, Verdict,
    claims::{AnyClaims, ProgramClaims, report_data},
    judge,
    ratls::Evidence,
};
use twine_sgx::{REPORT_BODY_SIZE, REPORT_SIZE, Report, report_from_bytes};
use twine_wasi::{Fault, GuestMemory};

use crate::{
    MAX_AAD, MAX_DATA, MAX_EVIDENCE, MAX_NONCE, MAX_SEALED, SealTo, TeeCtx,
    record::{RECORD_LEN, Record},
    sealed::{self, OVERHEAD, SealError},
};

/// What a program is told: numbers of WASI preview 1's errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    /// `E2BIG`: an input is over its limit.
    TooBig = 1,
    /// `EACCES`: evidence is refused, sealed data does not open.
    Refused = 2,
    /// `EBADMSG`: evidence or sealed data is malformed.
    Malformed = 9,
    /// `EINVAL`: an argument or the policy is wrong.
    Invalid = 28,
    /// `EIO`: the host does not serve a quote.
    Host = 29,
    /// `ENOTSUP`: there is no time to judge by.
    NotSupported = 58,
    /// `ERANGE`: the buffer is too short; the length that it needs was written.
    Range = 68,
    /// `ESTALE`: collateral is missing or not valid at this time.
    Stale = 72,
}

/// Why a call does not succeed.
pub(crate) enum Failure {
    /// The program gets a number and may ask for the message.
    Status(Status, String),
    /// The program ends: a pointer is wild.
    Fault(Fault),
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        let status = match error {
            SealError::Malformed(_) => Status::Malformed,
            SealError::Newer | SealError::Refused => Status::Refused,
        };
        Self::Status(status, error.to_string())
    }
}

fn failed<E: ToString>(status: Status) -> impl Fn(E) -> Failure {
    move |error| Failure::Status(status, error.to_string())
}

/// A buffer of the program's, and where it wants to know how much of it is used.
struct Buffer {
    at: u32,
    len: u32,
    used: u32,
}

impl Buffer {
    /// Both are in memory, or the program ends before anything was done.
    fn new(memory: &GuestMemory<'_>, at: u32, len: u32, used: u32) -> Outcome<Self> {
        memory.bytes(at, len)?;
        memory.bytes(used, 4)?;
        Ok(Self { at, len, used })
    }

    /// Whether `len` bytes fit. The program learns the length either way.
    fn fits(&self, memory: &mut GuestMemory<'_>, len: usize) -> Outcome {
        // No result is longer than its limit.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        memory.write_bytes(self.used, &len.to_le_bytes())?;
        if len <= self.len {
            return Ok(());
        }
        Err(Failure::Status(Status::Range, format!("the buffer has {} bytes, the result {len}", self.len)))
    }

    fn write(&self, memory: &mut GuestMemory<'_>, bytes: &[u8]) -> Outcome {
        self.fits(memory, bytes.len())?;
        Ok(memory.write_bytes(self.at, bytes)?)
    }
}

/// An input, copied: results may be written over it.
fn input(memory: &GuestMemory<'_>, at: u32, len: u32, max: u32, what: &str) -> Outcome<Vec<u8>> {
    let bytes = memory.bytes(at, len)?;
    if len > max {
        return Err(Failure::Status(
            Status::TooBig,
            format!("{what} has {len} bytes, at most {max} are taken"),
        ));
    }
    Ok(bytes.to_vec())
}

fn nonce(memory: &GuestMemory<'_>, at: u32, len: u32) -> Outcome<Option<Vec<u8>>> {
    input(memory, at, len, MAX_NONCE, "the nonce").map(|nonce| (!nonce.is_empty()).then_some(nonce))
}

pub(crate) fn identity(ctx: &mut TeeCtx, memory: &mut GuestMemory<'_>, record: u32) -> Outcome {
    memory.bytes(record, RECORD_LEN as u32)?;
    let own = Record::new(&ctx.platform.report(), ctx.platform.workload());
    Ok(memory.write_bytes(record, &own.0)?)
}

pub(crate) fn evidence_collect(
    ctx: &mut TeeCtx,
    memory: &mut GuestMemory<'_>,
    data: u32,
    data_len: u32,
    nonce_at: u32,
    nonce_len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Outcome {
    let buffer = Buffer::new(memory, buf, buf_len, used)?;
    let data = input(memory, data, data_len, MAX_DATA, "the data")?;
    let nonce = nonce(memory, nonce_at, nonce_len)?;
    let claims = ProgramClaims { data, nonce, workload: ctx.platform.workload() }.to_bytes();
    let quote = ctx.platform.quote(&report_data(&claims)).map_err(failed(Status::Host))?;
    let evidence = Evidence { quote, claims }.to_bytes();
    if evidence.len() > MAX_EVIDENCE as usize {
        return Err(Failure::Status(Status::Host, "the host's quote is longer than any".to_owned()));
    }
    buffer.write(memory, &evidence)
}

pub(crate) fn evidence_verify(
    ctx: &mut TeeCtx,
    memory: &mut GuestMemory<'_>,
    evidence: u32,
    evidence_len: u32,
    nonce_at: u32,
    nonce_len: u32,
    policy: u32,
    policy_len: u32,
    collateral: u32,
    collateral_len: u32,
    at: u64,
    record: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Outcome {
    memory.bytes(record, RECORD_LEN as u32)?;
    let buffer = Buffer::new(memory, buf, buf_len, used)?;
    let evidence = input(memory, evidence, evidence_len, MAX_EVIDENCE, "the evidence")?;
    let nonce = nonce(memory, nonce_at, nonce_len)?;
    let policy = input(memory, policy, policy_len, crate::MAX_INPUT, "the policy")?;
    let given = input(memory, collateral, collateral_len, crate::MAX_INPUT, "the collateral")?;

    let policy = String::from_utf8(policy)
        .map_err(|_| Failure::Status(Status::Invalid, "the policy is not text in UTF-8".to_owned()))?;
    let policy = Policy::from_toml(&policy, "policy").map_err(failed(Status::Invalid))?;
    let evidence = Evidence::from_bytes(&evidence).map_err(failed(Status::Malformed))?;
    let at = match at {
        0 => ctx.platform.now().ok_or_else(|| {
            let message = "the workload denies its program the clocks: pass the time to judge by";
            Failure::Status(Status::NotSupported, message.to_owned())
        })?,
        at => at,
    };
    let collateral = match given.is_empty() {
        true => ctx.platform.collateral(&evidence.quote),
        false => Some(given),
    };
    let judgement = judge(Inputs {
        quote: &evidence.quote,
        collateral: collateral.as_deref().ok_or("none was given, and the host has none"),
        policy: &policy,
        expected: &Expected { claims: Some(evidence.claims), nonce, ..Expected::default() },
        at,
        insecure_allow_simulation: false,
    });
    let Some(matched) = judgement.matched else {
        let status = match judgement.verdict {
            Verdict::Malformed => Status::Malformed,
            Verdict::NoCollateral => Status::Stale,
            Verdict::Accepted | Verdict::Refused => Status::Refused,
        };
        let failed = judgement.checks.iter().filter(|check| !check.pass);
        let reasons: Vec<_> = failed.map(|check| format!("{}: {}", check.id, check.detail)).collect();
        return Err(Failure::Status(status, reasons.join("\n")));
    };
    let claims = matched.program_claims().ok_or_else(no_program)?;
    let verified = Record::new(matched.quote().report(), claims.workload).verified(matched.quote().root());
    buffer.write(memory, &claims.data)?;
    Ok(memory.write_bytes(record, &verified.0)?)
}

pub(crate) fn evidence_parse(
    _: &mut TeeCtx,
    memory: &mut GuestMemory<'_>,
    evidence: u32,
    evidence_len: u32,
    record: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Outcome {
    memory.bytes(record, RECORD_LEN as u32)?;
    let buffer = Buffer::new(memory, buf, buf_len, used)?;
    let evidence = input(memory, evidence, evidence_len, MAX_EVIDENCE, "the evidence")?;
    let evidence = Evidence::from_bytes(&evidence).map_err(failed(Status::Malformed))?;
    let report = claimed_report(&evidence.quote)?;
    if report.reportdata != report_data(&evidence.claims) {
        let message = "the evidence is malformed: its quote does not bind its claims";
        return Err(Failure::Status(Status::Malformed, message.to_owned()));
    }
    let AnyClaims::Program(claims) =
        AnyClaims::from_bytes(&evidence.claims).map_err(failed(Status::Malformed))?
    else {
        return Err(no_program());
    };
    buffer.write(memory, &claims.data)?;
    Ok(memory.write_bytes(record, &Record::new(&report, claims.workload).0)?)
}

/// The report that a quote of version 3 claims to be of: after a header of 48 bytes.
fn claimed_report(quote: &[u8]) -> Outcome<Report> {
    let body =
        quote.strip_prefix(&[3, 0, 2, 0, 0, 0, 0, 0]).and_then(|rest| rest.get(40..40 + REPORT_BODY_SIZE));
    let body = body.ok_or_else(|| {
        let message = "the evidence is malformed: its quote is not of version 3, SGX, ECDSA P-256";
        Failure::Status(Status::Malformed, message.to_owned())
    })?;
    let mut report = [0; REPORT_SIZE];
    report.split_at_mut(REPORT_BODY_SIZE).0.copy_from_slice(body);
    Ok(report_from_bytes(&report))
}

/// A channel's evidence says nothing that its program wants to be known of.
fn no_program() -> Failure {
    let message = "the evidence is malformed: it is of a channel, not of a program's data";
    Failure::Status(Status::Malformed, message.to_owned())
}

pub(crate) fn seal(
    ctx: &mut TeeCtx,
    memory: &mut GuestMemory<'_>,
    to: u32,
    aad: u32,
    aad_len: u32,
    data: u32,
    data_len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Outcome {
    let buffer = Buffer::new(memory, buf, buf_len, used)?;
    let to = match to {
        0 => SealTo::Enclave,
        1 => SealTo::Signer,
        other => {
            let message = format!("sealing to {other} is not known; 0 is the enclave, 1 the signer");
            return Err(Failure::Status(Status::Invalid, message));
        }
    };
    let aad = input(memory, aad, aad_len, MAX_AAD, "the associated data")?;
    let data = input(memory, data, data_len, MAX_SEALED - OVERHEAD as u32, "the data")?;
    buffer.fits(memory, data.len() + OVERHEAD)?;
    let mut key_id = [0; 32];
    ctx.platform.random(&mut key_id);
    let own = ctx.platform.report();
    let sealed = sealed::seal(to, &own, key_id, &aad, &data, &mut |request| ctx.platform.seal_key(request))?;
    buffer.write(memory, &sealed)
}

pub(crate) fn unseal(
    ctx: &mut TeeCtx,
    memory: &mut GuestMemory<'_>,
    aad: u32,
    aad_len: u32,
    sealed: u32,
    sealed_len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Outcome {
    let buffer = Buffer::new(memory, buf, buf_len, used)?;
    let aad = input(memory, aad, aad_len, MAX_AAD, "the associated data")?;
    let sealed = input(memory, sealed, sealed_len, MAX_SEALED, "the sealed data")?;
    let data = sealed::unseal(&aad, &sealed, &mut |request| ctx.platform.seal_key(request))?;
    buffer.write(memory, &data)
}

pub(crate) fn message(
    ctx: &mut TeeCtx,
    memory: &mut GuestMemory<'_>,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Outcome {
    let buffer = Buffer::new(memory, buf, buf_len, used)?;
    let text = ctx.message.clone();
    // A short buffer must not replace the message that it is for.
    buffer.write(memory, text.as_bytes()).map_err(|failure| match failure {
        Failure::Status(status, _) => Failure::Status(status, text),
        fault @ Failure::Fault(_) => fault,
    })
}
