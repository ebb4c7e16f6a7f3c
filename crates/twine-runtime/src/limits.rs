//! How much of the enclave a program may have.

use wasmtime::{ResourceLimiter, Result, bail};

/// Bounds over all memories and tables of a program together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory: u64,
    /// Elements of tables.
    pub table_elements: u64,
    /// Units of fuel; `None`: not counted.
    pub fuel: Option<u64>,
}

/// Keeps count. Growth over a bound fails as `memory.grow` does (-1); a module that starts over it is refused.
pub(crate) struct Limiter {
    limits: Limits,
    memory: u64,
    table_elements: u64,
    started: bool,
}

impl Limiter {
    pub fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, table_elements: 0, started: false }
    }

    /// The fuel to start with.
    pub fn fuel(&self) -> Option<u64> {
        self.limits.fuel
    }

    /// From now on the program itself asks.
    pub fn start(&mut self) {
        self.started = true;
    }

    fn take(&mut self, what: What, current: usize, desired: usize) -> Result<bool> {
        let (used, limit, name, option) = match what {
            What::Memory => (&mut self.memory, self.limits.memory, "bytes of memory", "--max-memory"),
            What::Table => (
                &mut self.table_elements,
                self.limits.table_elements,
                "table elements",
                "--max-table-elements",
            ),
        };
        let total = used.saturating_sub(current as u64).saturating_add(desired as u64);
        if total > limit {
            if !self.started {
                bail!("the module starts with {total} {name}, the limit is {limit}; raise it with {option}");
            }
            return Ok(false);
        }
        *used = total;
        Ok(true)
    }
}

enum What {
    Memory,
    Table,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.take(What::Memory, current, desired)?)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.take(What::Table, current, desired)?)
    }
}
