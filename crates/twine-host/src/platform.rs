//! What this machine offers, as a list of checks for `twine platform`.

mod cpu;
mod hardware;
mod simulation;

use std::path::Path;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable name, `kebab-case`.
    pub id: &'static str,
    /// What a failure prevents.
    pub needed_for: Need,
    /// Whether it holds.
    pub pass: bool,
    /// What was found.
    pub detail: String,
    /// What to do if it does not hold.
    pub remedy: &'static str,
    /// Checks without which this one says nothing.
    pub depends_on: &'static [&'static str],
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Running on SGX hardware fails without it.
    Hardware,
    /// Running in simulation fails without it.
    Simulation,
    /// Simulation runs without it and is less faithful (docs/simulation.md).
    Fidelity,
    /// Either way of running fails without it.
    Both,
    /// Quotes by the platform's own service need it.
    Quoting,
}

impl Check {
    fn new(
        id: &'static str,
        needed_for: Need,
        pass: bool,
        detail: impl Into<String>,
        remedy: &'static str,
        depends_on: &'static [&'static str],
    ) -> Self {
        Self { id, needed_for, pass, detail: detail.into(), remedy, depends_on }
    }
}

/// All checks, each after those that it depends on. `state` is the simulated processor's state folder.
pub fn probe(state: &Path) -> Vec<Check> {
    let mut checks = cpu::checks();
    checks.extend(hardware::checks());
    checks.extend(simulation::checks(state));
    checks
}

/// Whether nothing that `need` (hardware or simulation) requires has failed.
pub fn ready(checks: &[Check], need: Need) -> bool {
    checks.iter().all(|check| check.pass || check.needed_for != need && check.needed_for != Need::Both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_unique_and_depend_on_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let checks = probe(folder.path());
        for (i, check) in checks.iter().enumerate() {
            let earlier: Vec<_> = checks[..i].iter().map(|c| c.id).collect();
            assert!(!earlier.contains(&check.id), "{}", check.id);
            assert!(check.depends_on.iter().all(|id| earlier.contains(id)), "{}", check.id);
            assert!(!check.detail.is_empty() && !check.remedy.is_empty(), "{}", check.id);
        }
    }

    #[test]
    fn only_a_state_folder_that_cannot_be_made_fails_its_check() {
        let folder = tempfile::tempdir().unwrap();
        let state = |path: &Path| probe(path).into_iter().find(|check| check.id == "sim-state").unwrap();
        let missing = folder.path().join("missing");
        for path in [folder.path(), &missing, &missing.join("below")] {
            assert!(state(path).pass, "{:?}", state(path));
        }
        assert!(!missing.exists());
        std::fs::write(&missing, "a file").unwrap();
        // Nobody makes folders in /proc, root included.
        for path in [&missing, &missing.join("below"), Path::new("/proc/twine/state")] {
            let check = state(path);
            assert!(!check.pass && check.detail.contains(path.to_str().unwrap()), "{check:?}");
        }
    }
}
