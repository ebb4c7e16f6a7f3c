//! Looks for instructions that an enclave must not execute.
//!
//! A linear sweep that starts anew at every function symbol. It is a check on what the linker put together (a `syscall`
//! from a libc, an `rdtsc` from a profiler), not a defence: the processor refuses these instructions by itself.
//! Sources: SDM Vol. 3D, "Illegal Instructions" inside an enclave and the chapters on its interaction with other
//! features; privileged instructions fault in any user-mode code.

use crate::elf::Symbol;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, Register};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// The one function that may read the time-stamp counter (legal in enclaves on processors with SGX2).
pub const RDTSC_SYMBOL: &str = "twine_rdtsc";
/// Functions that may execute ENCLU have names that start so: few, in assembly, each with an address in the review.
pub const ENCLU_PREFIX: &str = "twine_";

/// Encodings that a jump into the middle of an instruction could reach.
const HIDDEN: [(&str, &[u8]); 5] = [
    ("enclu", &[0x0f, 0x01, 0xd7]),
    ("syscall", &[0x0f, 0x05]),
    ("sysenter", &[0x0f, 0x34]),
    ("rdtsc", &[0x0f, 0x31]),
    ("int80", &[0xcd, 0x80]),
];
/// Most findings that an error names.
const MAX_FINDINGS: usize = 20;

/// What a scan without findings saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Instructions decoded.
    pub instructions: u64,
    /// Addresses of `cpuid` instructions, ascending.
    pub cpuid: Vec<u64>,
    /// Occurrences of notable encodings inside or across other instructions: gadgets for code that can already jump
    /// anywhere. Reported, since compilers make them by chance.
    pub hidden: BTreeMap<&'static str, u64>,
}

/// One instruction that must not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Offset from the image's base.
    pub address: u64,
    /// Name of the function, demangled; empty where no symbol covers the address.
    pub symbol: String,
    /// Mnemonic in lower case; `(bad)` for bytes that are no instruction.
    pub instruction: String,
    /// Why it is refused.
    pub reason: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = if self.symbol.is_empty() { "(no symbol)" } else { &self.symbol };
        write!(f, "{:#x} {symbol}: {} ({})", self.address, self.instruction, self.reason)
    }
}

/// The image has instructions that must not be there.
#[derive(Debug, Error)]
pub struct ScanError {
    /// The first of them, by address.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub total: usize,
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} instructions are not allowed in an enclave:", self.total)?;
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        if self.total > self.findings.len() {
            write!(f, "\n  and {} more", self.total - self.findings.len())?;
        }
        Ok(())
    }
}

/// Scans the executable segment `text`, which starts at `base`; `symbols` are its symbols by ascending address.
pub fn scan(text: &[u8], base: u64, symbols: &[Symbol]) -> Result<Report, ScanError> {
    let mut report = Report::default();
    let mut error = ScanError { findings: Vec::new(), total: 0 };
    let mut starts = vec![false; text.len()];
    let end = base + text.len() as u64;
    let mut regions: Vec<u64> = symbols.iter().filter(|s| s.function).map(|s| s.address).collect();
    regions.retain(|a| (base..end).contains(a));
    regions.push(base);
    regions.push(end);
    regions.sort_unstable();
    regions.dedup();

    for [from, to] in regions.array_windows() {
        let code = &text[(from - base) as usize..(to - base) as usize];
        let mut decoder = Decoder::with_ip(64, code, *from, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            let address = instruction.ip();
            starts[(address - base) as usize] = true;
            report.instructions += 1;
            if instruction.mnemonic() == Mnemonic::Cpuid {
                report.cpuid.push(address);
                continue;
            }
            let Some(reason) = refusal(&instruction) else { continue };
            let names = covering(symbols, address);
            if permitted(instruction.mnemonic(), &names) {
                continue;
            }
            error.total += 1;
            if error.findings.len() < MAX_FINDINGS {
                let symbol =
                    names.first().map_or(String::new(), |n| format!("{:#}", rustc_demangle::demangle(n)));
                let instruction = name(&instruction);
                error.findings.push(Finding { address, symbol, instruction, reason });
            }
        }
    }
    for (what, bytes) in HIDDEN {
        let hits =
            text.windows(bytes.len()).enumerate().filter(|(at, w)| *w == bytes && !starts[*at]).count();
        report.hidden.insert(what, hits as u64);
    }
    if error.total == 0 { Ok(report) } else { Err(error) }
}

/// Names of the symbols that cover `address`: those with the greatest start at or below it.
fn covering(symbols: &[Symbol], address: u64) -> Vec<&str> {
    let below = symbols.partition_point(|s| s.address <= address);
    let Some(start) = below.checked_sub(1).and_then(|last| symbols.get(last)).map(|s| s.address) else {
        return Vec::new();
    };
    symbols[..below]
        .iter()
        .rev()
        .take_while(|s| s.address == start)
        .filter(|s| s.size == 0 || address < s.address + s.size)
        .map(|s| s.name.as_str())
        .collect()
}

fn permitted(mnemonic: Mnemonic, names: &[&str]) -> bool {
    match mnemonic {
        Mnemonic::Enclu => names.iter().any(|n| n.starts_with(ENCLU_PREFIX)),
        Mnemonic::Rdtsc | Mnemonic::Rdtscp => names.contains(&RDTSC_SYMBOL),
        _ => false,
    }
}

fn name(instruction: &Instruction) -> String {
    match instruction.mnemonic() {
        Mnemonic::INVALID => "(bad)".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Why an enclave must not execute this instruction; `None` if it may.
fn refusal(instruction: &Instruction) -> Option<&'static str> {
    use Mnemonic as M;
    Some(match instruction.mnemonic() {
        M::INVALID => "not an instruction: data between code, which the scan cannot see through",
        M::Enclu => "only functions whose name starts with twine_ execute ENCLU",
        M::Rdtsc | M::Rdtscp => "only the function twine_rdtsc reads the time-stamp counter",
        M::Syscall | M::Sysenter | M::Sysexit | M::Sysret | M::Sysexitq | M::Sysretq => {
            "an enclave has no operating system to call"
        }
        M::Int | M::Into | M::Int1 | M::Iret | M::Iretd | M::Iretq => "changes the privilege level",
        M::Getsec | M::Rdpmc | M::Vmcall | M::Vmfunc | M::Vmmcall => "may exit to a hypervisor",
        M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw | M::Lar | M::Lsl | M::Verr => {
            "reads the operating system's tables"
        }
        M::In | M::Out | M::Insb | M::Insw | M::Insd | M::Outsb | M::Outsw | M::Outsd => {
            "port input and output"
        }
        M::Lds | M::Les | M::Lfs | M::Lgs | M::Lss => "loads a segment register",
        M::Clui | M::Stui | M::Testui | M::Senduipi | M::Uiret => {
            "user interrupts do not exist in an enclave"
        }
        M::Retf => "far return",
        _ if is_far(instruction.code()) => "far call or jump",
        _ if loads_segment(instruction) => "loads a segment register",
        _ if instruction.is_privileged() => "privileged",
        _ => return None,
    })
}

fn is_far(code: Code) -> bool {
    matches!(
        code,
        Code::Call_m1616
            | Code::Call_m1632
            | Code::Call_m1664
            | Code::Jmp_m1616
            | Code::Jmp_m1632
            | Code::Jmp_m1664
            | Code::Call_ptr1616
            | Code::Call_ptr1632
            | Code::Jmp_ptr1616
            | Code::Jmp_ptr1632
    )
}

/// `mov` and `pop` to a segment register.
fn loads_segment(instruction: &Instruction) -> bool {
    use Register as R;
    matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Pop)
        && matches!(instruction.op0_register(), R::CS | R::DS | R::ES | R::FS | R::GS | R::SS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(address: u64, size: u64, name: &str) -> Symbol {
        Symbol { address, size, name: name.into(), function: true }
    }

    fn refused(code: &[u8]) -> String {
        let error = scan(code, 0x1000, &[symbol(0x1000, code.len() as u64, "f")]).unwrap_err();
        assert_eq!(
            (error.total, error.findings[0].address, error.findings[0].symbol.as_str()),
            (1, 0x1000, "f")
        );
        error.findings[0].instruction.clone()
    }

    #[test]
    fn every_illegal_instruction_is_named() {
        for (code, name) in [
            (&[0x0f, 0x05][..], "syscall"),
            (&[0x0f, 0x34], "sysenter"),
            (&[0xcd, 0x80], "int"),
            (&[0xf1], "int1"),
            (&[0x48, 0xcf], "iretq"),
            (&[0xe4, 0x60], "in"),
            (&[0x6c], "insb"),
            (&[0x6f], "outsd"),
            (&[0xee], "out"),
            (&[0x0f, 0x31], "rdtsc"),
            (&[0x0f, 0x01, 0xf9], "rdtscp"),
            (&[0x0f, 0x33], "rdpmc"),
            (&[0x0f, 0x37], "getsec"),
            (&[0x0f, 0x01, 0xc1], "vmcall"),
            (&[0x0f, 0x01, 0xd4], "vmfunc"),
            (&[0x0f, 0x01, 0x00], "sgdt"),
            (&[0x0f, 0x01, 0x08], "sidt"),
            (&[0x0f, 0x00, 0xc0], "sldt"),
            (&[0x0f, 0x00, 0xc8], "str"),
            (&[0x0f, 0x01, 0xe0], "smsw"),
            (&[0x0f, 0x02, 0xc0], "lar"),
            (&[0x0f, 0x00, 0xe0], "verr"),
            (&[0xff, 0x18], "call"),
            (&[0xff, 0x28], "jmp"),
            (&[0xcb], "retf"),
            (&[0x8e, 0xd8], "mov"),
            (&[0x0f, 0xa1], "pop"),
            (&[0x0f, 0xb4, 0x00], "lfs"),
            (&[0x0f, 0x01, 0xd7], "enclu"),
            (&[0x0f, 0x01, 0xcf], "encls"),
            (&[0xf4], "hlt"),
            (&[0x0f, 0x30], "wrmsr"),
            (&[0xf3, 0x0f, 0x01, 0xee], "clui"),
            (&[0xf3, 0x0f, 0xc7, 0xf0], "senduipi"),
            (&[0x06], "(bad)"),
        ] {
            assert_eq!(refused(code), name, "{code:02x?}");
        }
    }

    #[test]
    fn legal_and_rewritten_instructions_pass() {
        // verw, int3, ud2, xgetbv, rdrand, wrfsbase, mov eax,ds; then cpuid.
        let code = [
            &[0x0f, 0x00, 0xe8, 0xcc, 0x0f, 0x0b, 0x0f, 0x01, 0xd0, 0x48, 0x0f, 0xc7, 0xf0][..],
            &[0xf3, 0x48, 0x0f, 0xae, 0xd0, 0x8c, 0xd8, 0x0f, 0xa2],
        ]
        .concat();
        let report = scan(&code, 0x2000, &[symbol(0x2000, 0, "f")]).unwrap();
        assert_eq!((report.instructions, report.cpuid), (8, vec![0x2000 + code.len() as u64 - 2]));
    }

    #[test]
    fn named_functions_may_do_more() {
        let code = [0x0f, 0x31, 0x0f, 0x01, 0xd7];
        let allowed = [symbol(0, 2, RDTSC_SYMBOL), symbol(2, 3, "twine_enclu_exit")];
        scan(&code, 0, &allowed).unwrap();
        let swapped = [symbol(0, 2, "twine_enclu_exit"), symbol(2, 3, RDTSC_SYMBOL)];
        assert_eq!(scan(&code, 0, &swapped).unwrap_err().findings[0].instruction, "rdtsc");
        // Behind the end of the function the name means nothing.
        assert_eq!(scan(&code, 0, &[symbol(0, 2, RDTSC_SYMBOL)]).unwrap_err().findings[0].symbol, "");
    }

    #[test]
    fn a_symbol_brings_the_sweep_back_and_hidden_encodings_are_counted() {
        // The first byte swallows the syscall as an immediate unless the symbol at 1 restarts the sweep.
        let code = [0xb8, 0x0f, 0x05, 0x00, 0x00];
        let report = scan(&code, 0, &[symbol(0, 5, "f")]).unwrap();
        assert_eq!(report.hidden["syscall"], 1);
        let error = scan(&code, 0, &[symbol(0, 1, "f"), symbol(1, 4, "g")]).unwrap_err();
        assert!(error.findings.iter().any(|f| f.instruction == "syscall" && f.symbol == "g"), "{error}");
    }
}
