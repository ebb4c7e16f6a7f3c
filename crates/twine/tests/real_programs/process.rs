//! Child processes and what went wrong with them.

use std::process::{Command, Stdio};

/// Why a program could not be compared, or what differs.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Fails with a text.
pub fn failed<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(text.into().into())
}

/// Runs a tool that must succeed; its standard output.
pub fn finish(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name}: {error}; install it to run this program"))?;
    if !output.status.success() {
        return failed(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output.stdout)
}
