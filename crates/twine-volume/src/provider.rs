//! What a volume needs from its surroundings besides a store.

/// Random bytes that the host can neither choose nor predict.
pub trait Entropy: Send {
    /// Fills all of `buf`, or says that it cannot.
    fn fill(&mut self, buf: &mut [u8]) -> core::result::Result<(), EntropyFailed>;
}

/// The source of randomness gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyFailed;

/// The wall clock, for the times of inodes only: nothing is decided by it.
pub trait Clock: Send {
    /// Nanoseconds since 1970-01-01 UTC.
    fn now(&mut self) -> u64;
}

/// The operating system's generator; outside an enclave only.
#[cfg(feature = "file")]
#[derive(Default)]
pub struct SystemEntropy(());

#[cfg(feature = "file")]
impl Entropy for SystemEntropy {
    fn fill(&mut self, buf: &mut [u8]) -> core::result::Result<(), EntropyFailed> {
        use ring::rand::SecureRandom;
        ring::rand::SystemRandom::new().fill(buf).map_err(|_| EntropyFailed)
    }
}

/// The operating system's clock; outside an enclave only.
#[cfg(feature = "file")]
#[derive(Default)]
pub struct SystemClock(());

#[cfg(feature = "file")]
impl Clock for SystemClock {
    fn now(&mut self) -> u64 {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }
}
