//! SGX in the processor, the kernel and the platform's quoting service.
#![allow(unsafe_code)]

use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::fs::OpenOptions;
use std::os::unix::net::UnixStream;

use super::{Check, Need};

const DEVICE: &str = "/dev/sgx_enclave";
const AESM: &str = "/var/run/aesmd/aesm.socket";

pub(super) fn checks() -> Vec<Check> {
    let intel = vendor() == *b"GenuineIntel";
    let sgx = intel && max_leaf() >= 0x12 && __cpuid_count(7, 0).ebx >> 2 & 1 == 1;
    let flc = sgx && __cpuid_count(7, 0).ecx >> 30 & 1 == 1;
    // Leaf 12H is meaningless without the bit above.
    let (capabilities, attributes) =
        if sgx { (__cpuid_count(0x12, 0), __cpuid_count(0x12, 1)) } else { (__cpuid(0), __cpuid(0)) };
    let max_log2 = if sgx { capabilities.edx >> 8 & 0xFF } else { 0 };
    let firmware = "switch SGX on in the firmware (not 'software controlled')";
    let newer = "use a server processor of the Ice Lake generation or later";
    let bit = |word: u32, bit: u32| sgx && word >> bit & 1 == 1;
    let said: [(_, _, _, &[_]); 6] = [
        ("sgx-cpu", sgx, "use an Intel server processor with SGX", &[]),
        ("sgx-flc", flc, firmware, &["sgx-cpu"]),
        ("sgx1", bit(capabilities.eax, 0), firmware, &["sgx-cpu"]),
        ("sgx2", bit(capabilities.eax, 1), newer, &["sgx1"]),
        ("sgx-exinfo", bit(capabilities.ebx, 0), newer, &["sgx1"]),
        ("sgx-kss", bit(attributes.eax, 7), newer, &["sgx1"]),
    ];
    let mut checks: Vec<_> = said
        .map(|(id, pass, remedy, depends_on)| {
            let detail = if pass { "CPUID says so" } else { "CPUID does not say so" };
            Check::new(id, Need::Hardware, pass, detail, remedy, depends_on)
        })
        .into();
    checks.push(Check::new(
        "sgx-size",
        Need::Hardware,
        max_log2 >= 39,
        match max_log2 {
            0 => "CPUID does not say how large an enclave may be".into(),
            _ => format!("the largest enclave has 2^{max_log2} bytes"),
        },
        "the enclave needs 2^39 bytes of addresses: use a newer processor",
        &["sgx1"],
    ));
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    checks.push(Check::new(
        "sgx-device",
        Need::Hardware,
        device.is_ok(),
        match &device {
            Ok(_) => format!("{DEVICE} opens"),
            Err(error) => format!("{DEVICE}: {error}"),
        },
        "use Linux 6.0 or later with CONFIG_X86_SGX, and put the user into the device's group",
        &["sgx-cpu"],
    ));
    let vdso = vdso_has(b"__vdso_sgx_enter_enclave\0");
    checks.push(Check::new(
        "sgx-vdso",
        Need::Hardware,
        vdso,
        if vdso {
            "the vDSO names __vdso_sgx_enter_enclave"
        } else {
            "the vDSO has no __vdso_sgx_enter_enclave"
        },
        "use Linux 6.0 or later with CONFIG_X86_SGX",
        &[],
    ));
    let aesm = UnixStream::connect(AESM);
    checks.push(Check::new(
        "aesm",
        Need::Quoting,
        aesm.is_ok(),
        match aesm {
            Ok(_) => format!("{AESM} answers"),
            Err(error) => format!("{AESM}: {error}"),
        },
        "install and start Intel's AESM service (package sgx-aesm-service)",
        &["sgx-device"],
    ));
    checks
}

fn max_leaf() -> u32 {
    __cpuid(0).eax
}

fn vendor() -> [u8; 12] {
    let leaf = __cpuid(0);
    let mut name = [0; 12];
    for (part, word) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.edx, leaf.ecx]) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    name
}

/// Whether the vDSO, which is two or three pages, holds the name.
fn vdso_has(name: &[u8]) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let range = maps.lines().find(|line| line.ends_with("[vdso]")).and_then(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    });
    let Some((start, end)) = range else { return false };
    // SAFETY: the kernel maps the vDSO readable for the process's life.
    let vdso = unsafe { std::slice::from_raw_parts(start as *const u8, end - start) };
    vdso.windows(name.len()).any(|window| window == name)
}
