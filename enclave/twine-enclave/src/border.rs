//! The enclave's side of the border: one function that makes every host call.

use core::sync::atomic::{AtomicU64, Ordering};
use twine_abi::entry::Exit;
use twine_abi::wire::{self, Answer, BUFFER_SIZE, HostCall, MAX_PAYLOAD, MAX_WORDS, Status, padded};

use crate::{entry, fatal, layout, tcb, untrusted};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Host calls made so far, all threads.
pub fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Takes the host's word for the thread's buffer, after checking it: aligned, large enough, all of it outside.
pub(crate) fn set_buffer(address: u64, size: u64) {
    let size_needed = BUFFER_SIZE as u64;
    if !address.is_multiple_of(64)
        || size != size_needed
        || address == 0
        || !layout::is_outside(address, size)
    {
        // Nothing may be written to such a buffer: the enclave ends without a word.
        tcb::write(tcb::BUFFER, 0);
        fatal::host_misbehaved("a thread's buffer is not outside, aligned and of the right size");
    }
    tcb::write(tcb::BUFFER, address);
}

/// Makes one host call: `data` goes out with the request, bytes of the answer come back to `into` (at most its
/// length) and are counted in the result. `Err` is the host's refusal. An answer outside the protocol ends the enclave.
pub fn call<C: HostCall>(request: &C, data: &[u8], into: &mut [u8]) -> Result<(C::Reply, usize), Status> {
    call_with(request, &[data], &mut [into])
}

/// [`call`] with bytes in several places, each copied directly. All parts but the last have a multiple of 8 bytes.
pub fn call_with<C: HostCall>(
    request: &C,
    data: &[&[u8]],
    into: &mut [&mut [u8]],
) -> Result<(C::Reply, usize), Status> {
    let size: usize = data.iter().map(|part| part.len()).sum();
    let room: usize = into.iter().map(|part| part.len()).sum();
    assert!(size <= MAX_PAYLOAD && room <= MAX_PAYLOAD, "the caller splits what is larger");
    let aligned =
        |lengths: &mut dyn Iterator<Item = usize>| lengths.skip(1).all(|length| length.is_multiple_of(8));
    assert!(
        aligned(&mut data.iter().rev().map(|part| part.len()))
            && aligned(&mut into.iter().rev().map(|part| part.len())),
        "parts follow one another in words"
    );
    if tcb::is_handling() {
        fatal::die("a host call in the exception handler", format_args!(": {:?}", C::CALL));
    }
    CALLS.fetch_add(1, Ordering::Relaxed);
    let buffer = tcb::read(tcb::BUFFER);
    let mut head = [0u8; 8 * (MAX_WORDS + 2)];
    let words = request.to_words();
    let request_words =
        [C::CALL as u64].into_iter().chain(words.into_iter().take(C::COUNT)).chain([size as u64]);
    let mut used = 0;
    for (slot, word) in head.chunks_exact_mut(8).zip(request_words) {
        slot.copy_from_slice(&word.to_le_bytes());
        used += 8;
    }
    // SAFETY: the buffer was checked by `set_buffer`; head and data fit it by the assertion above.
    let replied = unsafe {
        untrusted::copy_out(&head[..used], buffer);
        let mut to = buffer + used as u64;
        for part in data {
            untrusted::copy_out(part, to);
            to += part.len() as u64;
        }
        entry::twine_enclu_call(Exit::Call as u64, (used + padded(size)) as u64)
    };
    if fatal::is_dead() {
        fatal::die("another thread ended the enclave", format_args!(""));
    }
    let there = wire::reply_head::<C::Reply>(replied).unwrap_or_else(|how| fatal::host_misbehaved(how));
    let head = &mut head[..there];
    // SAFETY: the buffer was checked by `set_buffer`, and a head fits it.
    unsafe { untrusted::copy_in(buffer, head) };
    match wire::read_reply(head, replied, room) {
        Err(how) => fatal::host_misbehaved(how),
        Ok(Answer::Refused(status)) => Err(status),
        Ok(Answer::Given(reply, length)) => {
            let (mut from, mut left) = (buffer + there as u64, length);
            for part in into {
                let count = left.min(part.len());
                // SAFETY: as above; `replied` bytes hold head and payload.
                unsafe { untrusted::copy_in(from, &mut part[..count]) };
                from += count as u64;
                left -= count;
            }
            Ok((reply, length))
        }
    }
}
