//! What the simulated processor needs of this machine.

use std::path::Path;

use super::{Check, Need};
use crate::sim::{self, Fuse};

pub(super) fn checks(state: &Path) -> Vec<Check> {
    let fsgsbase = sim::fsgsbase();
    let dispatch = sim::can_dispatch_system_calls();
    let cpuid = sim::can_fault_cpuid();
    let addresses = sim::can_reserve(1 << 39);
    let secrets = secrets(state);
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
            secrets.is_ok(),
            secrets.unwrap_or_else(|why| why),
            "make it readable and writable for this user, restore the file in it, or name another with XDG_STATE_HOME",
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

/// Where the processor's secrets are or will be, or why they cannot be there.
fn secrets(state: &Path) -> Result<String, String> {
    let folder = state.display();
    if state.is_dir() {
        return match Fuse::peek(state) {
            Ok(true) => Ok(format!("{folder} holds the simulated processor's secrets")),
            Ok(false) => Ok(format!("{folder} is there; the first run makes the processor's secrets")),
            Err(error) => Err(error.to_string()),
        };
    }
    let Some(above) = state.ancestors().find(|folder| folder.exists()).filter(|folder| folder.is_dir())
    else {
        return Err(format!("the state folder {folder} cannot be made"));
    };
    // Whoever may make one folder there may make this one.
    match tempfile::tempdir_in(above) {
        Ok(_) => Ok(format!("the first run makes {folder} and the processor's secrets in it")),
        Err(error) => Err(format!("the state folder {folder} cannot be made: {}: {error}", above.display())),
    }
}
