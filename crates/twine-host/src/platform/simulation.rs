//! What the simulated processor needs of this machine.

use std::path::Path;

use super::{Check, Need};
use crate::sim::{self, Fuse};

pub(super) fn checks(state: &Path) -> Vec<Check> {
    let fsgsbase = sim::fsgsbase();
    let dispatch = sim::can_dispatch_system_calls();
    let cpuid = sim::can_fault_cpuid();
    let addresses = sim::can_reserve(1 << 39);
    let fuse =
        if state.is_dir() { Fuse::peek(state) } else { Err(sim::StateError::NoFolder(state.to_path_buf())) };
    vec![
        Check::new(
            "sim-fsgsbase",
            Need::Simulation,
            fsgsbase,
            if fsgsbase { "user mode may set the FS base" } else { "user mode may not set the FS base" },
            "use Linux 5.9 or later without the nofsgsbase option",
            &[],
        ),
        Check::new(
            "sim-addresses",
            Need::Simulation,
            addresses.is_ok(),
            match addresses {
                Ok(()) => "512 GiB of addresses can be reserved".into(),
                Err(error) => error.to_string(),
            },
            "raise the address-space limit (ulimit -v unlimited)",
            &[],
        ),
        Check::new(
            "sim-state",
            Need::Simulation,
            fuse.is_ok(),
            match fuse {
                Ok(true) => format!("{} holds the simulated processor's secrets", state.display()),
                Ok(false) => {
                    format!("{} is there; the first run makes the processor's secrets", state.display())
                }
                Err(error) => error.to_string(),
            },
            "create the folder, writable for this user, or restore the file in it",
            &[],
        ),
        Check::new(
            "sim-syscall-dispatch",
            Need::Fidelity,
            dispatch,
            if dispatch { "system calls inside are #UD" } else { "system calls inside would run" },
            "use Linux 5.11 or later (6.17 for programs that are not position-independent)",
            &[],
        ),
        Check::new(
            "sim-cpuid-faulting",
            Need::Fidelity,
            cpuid,
            if cpuid { "CPUID inside is #UD" } else { "CPUID inside would run; the image holds none" },
            "use a machine whose processor and hypervisor offer CPUID faulting (arch_prctl ARCH_SET_CPUID)",
            &[],
        ),
    ]
}
