//! The program's streams, clocks and waiting, as host calls whose answers the border has checked.

use twine_abi::calls::{ReadStdin, Stream, Wait, Write};
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_enclave::{border, clock, random};
use twine_wasi::{Clock, Output, Random, Stdin, StreamError, Waiter, Woken};

/// Standard input of the host.
pub struct HostStdin;

impl Stdin for HostStdin {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
        let len = buf.len().min(MAX_PAYLOAD);
        let into = &mut buf[..len];
        border::call(&ReadStdin { max: len as u64 }, &[], into)
            .map(|(_, got)| got)
            .map_err(|_| StreamError::Failed)
    }
}

/// A stream that the workload keeps from the host: reads as empty, swallows what is written.
pub struct Nothing;

impl Stdin for Nothing {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, StreamError> {
        Ok(0)
    }
}

impl Output for Nothing {
    fn write(&mut self, _: &[u8]) -> Result<(), StreamError> {
        Ok(())
    }
}

/// Standard output or error of the host.
pub struct HostOutput(pub Stream);

impl Output for HostOutput {
    fn write(&mut self, buf: &[u8]) -> Result<(), StreamError> {
        for piece in buf.chunks(MAX_PAYLOAD) {
            border::call(&Write { stream: self.0 as u64 }, piece, &mut []).map_err(
                |status| match status {
                    Status::Closed => StreamError::Closed,
                    Status::Exhausted => StreamError::Full,
                    _ => StreamError::Failed,
                },
            )?;
        }
        Ok(())
    }
}

/// The enclave's clocks: the host's word, never backwards.
pub struct EnclaveClock;

impl Clock for EnclaveClock {
    fn monotonic(&self) -> u64 {
        clock::monotonic()
    }

    fn realtime(&self) -> u64 {
        clock::realtime()
    }
}

/// The enclave's random numbers.
pub struct EnclaveRandom;

impl Random for EnclaveRandom {
    fn fill(&mut self, buf: &mut [u8]) {
        random::fill(buf);
    }
}

/// Waits at the host. That a deadline has passed is read from the enclave's clock afterwards, by the caller.
pub struct HostWaiter {
    /// Whether standard input is the host's at all.
    pub stdin: bool,
}

impl Waiter for HostWaiter {
    fn wait(&mut self, deadline: Option<u64>, stdin: bool) -> Woken {
        if stdin && !self.stdin {
            return Woken { stdin_ready: true };
        }
        let timeout = deadline.map_or(u64::MAX, |deadline| deadline.saturating_sub(clock::monotonic()));
        let reply = border::call(&Wait { stdin: stdin.into(), timeout }, &[], &mut []);
        Woken { stdin_ready: stdin && reply.is_ok_and(|(reply, _)| reply.stdin == 1) }
    }
}
