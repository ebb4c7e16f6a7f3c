//! ENCLU inside an enclave, one module per leaf function.

mod eaccept;
mod eacceptcopy;
mod egetkey;
mod emodpe;
mod ereport;
mod run;

use twine_sgx::ssa::vector;
use twine_sgx::{Secinfo, SecinfoFlags, leaf};

use super::enclave::{Pages, SimEnclave};
use super::frame::{Frame, Reg};
use super::thread::Block;
use super::transition::{self, Event};

/// Executes the leaf at RIP; the event is the fault it raises.
pub(super) fn execute(enclave: &SimEnclave, block: &mut Block, frame: &mut Frame) -> Option<Event> {
    let done = match frame.get(Reg::Rax) as u32 {
        leaf::EREPORT => ereport::execute(enclave, frame),
        leaf::EGETKEY => egetkey::execute(enclave, frame),
        leaf::EEXIT => return transition::eexit(enclave, block, frame),
        leaf::EACCEPT => eaccept::execute(enclave, frame),
        leaf::EMODPE => emodpe::execute(enclave, frame),
        leaf::EACCEPTCOPY => eacceptcopy::execute(enclave, frame),
        // EENTER and ERESUME cannot be executed inside; the others do not exist here.
        _ => Err(Event::exception(vector::GP)),
    };
    match done {
        Ok(After::Next) => {
            frame.set(Reg::Rip, frame.get(Reg::Rip).wrapping_add(leaf::ENCLU.len() as u64));
            None
        }
        Ok(After::At(rip)) => {
            frame.set(Reg::Rip, rip);
            None
        }
        Err(event) => Some(event),
    }
}

/// Where execution goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// After the ENCLU.
    Next,
    /// Elsewhere: a loop around the ENCLU was executed with it.
    At(u64),
}

/// The SECINFO operand in RBX.
fn secinfo(enclave: &SimEnclave, pages: &mut Pages, address: u64) -> Result<SecinfoFlags, Event> {
    enclave.operand(pages, address, Secinfo::SIZE as u64, 0)?;
    #[allow(unsafe_code)]
    // SAFETY: the operand is readable, and the lock on the pages keeps it so.
    let bytes = unsafe { enclave.elrange().read(address) };
    let flags = Secinfo::from_bytes(&bytes).ok().and_then(|secinfo| SecinfoFlags::from_bits(secinfo.flags));
    flags.ok_or(Event::exception(vector::GP))
}
