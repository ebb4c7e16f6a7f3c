//! Entering and leaving: what the registers mean.
//!
//! EENTER at CSSA 0: RDI, RSI = address and size of the thread's untrusted buffer on a thread's first entry (checked
//! once to lie outside ELRANGE); RDI = bytes of the reply on every return from a host call.
//! EENTER at CSSA 1: RDI = a [`Notice`]. EEXIT: RDI = an [`Exit`], RSI = bytes in the buffer.

/// Why the enclave left (RDI at EEXIT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Exit {
    /// A host call is in the buffer; enter again at CSSA 0 with the reply.
    Call = 1,
    /// The thread has nothing (more) to do; its TCS is free.
    Idle = 2,
    /// The enclave ended itself; the buffer may hold a message. Every later entry at CSSA 0 answers the same, at every
    /// TCS.
    Dead = 3,
    /// The notice or exception came at a moment when it cannot be taken; nothing happened. Resume, try later.
    Refused = 4,
    /// The exception or notice was handled: ERESUME.
    Handled = 5,
}

impl Exit {
    /// The exit behind RDI; `None` is an enclave that does not speak this version.
    pub fn from_register(value: u64) -> Option<Self> {
        Some(match value {
            1 => Self::Call,
            2 => Self::Idle,
            3 => Self::Dead,
            4 => Self::Refused,
            5 => Self::Handled,
            _ => return None,
        })
    }
}

/// What the host may say at CSSA 1 (RDI). What happened is never the host's word: it stands in the SSA frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Notice {
    /// Look at the SSA frame.
    Exception = 0,
    /// Please stop at the next host call or trap point; the time limit has passed.
    Stop = 1,
}
