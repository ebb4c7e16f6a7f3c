//! The enclave's side of the border: one function that makes every host call.

use core::sync::atomic::{AtomicU64, Ordering};
use twine_abi::entry::Exit;
use twine_abi::wire::{BUFFER_SIZE, HostCall, MAX_PAYLOAD, MAX_WORDS, Status, Words, padded};

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
        // Nothing may be written to such a buffer: the enclave leaves without a word.
        // SAFETY: leaving for good needs no stack.
        unsafe { entry::twine_enclu_leave(Exit::Dead as u64, 0) };
    }
    tcb::write(tcb::BUFFER, address);
}

/// Makes one host call: `data` goes out with the request, bytes of the answer come back to `into` (at most its
/// length) and are counted in the result. `Err` is the host's refusal. An answer outside the protocol ends the enclave.
pub fn call<C: HostCall>(request: &C, data: &[u8], into: &mut [u8]) -> Result<(C::Reply, usize), Status> {
    assert!(data.len() <= MAX_PAYLOAD && into.len() <= MAX_PAYLOAD, "the caller splits what is larger");
    if tcb::is_handling() {
        fatal::die("a host call in the exception handler", format_args!(": {:?}", C::CALL));
    }
    CALLS.fetch_add(1, Ordering::Relaxed);
    let buffer = tcb::read(tcb::BUFFER);
    let mut head = [0u8; 8 * (MAX_WORDS + 2)];
    let words = request.to_words();
    let request_words =
        [C::CALL as u64].into_iter().chain(words.into_iter().take(C::COUNT)).chain([data.len() as u64]);
    let mut used = 0;
    for (slot, word) in head.chunks_exact_mut(8).zip(request_words) {
        slot.copy_from_slice(&word.to_le_bytes());
        used += 8;
    }
    // SAFETY: the buffer was checked by `set_buffer`; head and data fit it by the assertion above.
    let replied = unsafe {
        untrusted::copy_out(&head[..used], buffer);
        untrusted::copy_out(data, buffer + used as u64);
        entry::twine_enclu_call(Exit::Call as u64, (used + padded(data.len())) as u64)
    };
    if fatal::is_dead() {
        fatal::die("another thread ended the enclave", format_args!(""));
    }
    let reply_head = 8 * (C::Reply::COUNT + 2);
    if replied == 8 {
        let mut word = [0; 8];
        // SAFETY: as above.
        unsafe { untrusted::copy_in(buffer, &mut word) };
        return match Status::from_word(u64::from_le_bytes(word)) {
            Status::Ok => fatal::host_misbehaved("an empty reply"),
            refused => Err(refused),
        };
    }
    if replied < reply_head as u64 || replied > BUFFER_SIZE as u64 {
        fatal::host_misbehaved("a reply of an impossible size");
    }
    let head = &mut head[..reply_head];
    // SAFETY: as above.
    unsafe { untrusted::copy_in(buffer, head) };
    let mut all = head.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let status = all.next().unwrap_or(u64::MAX);
    let mut words = [0; MAX_WORDS];
    for slot in words.iter_mut().take(C::Reply::COUNT) {
        *slot = all.next().unwrap_or_default();
    }
    let length = all.next().unwrap_or(u64::MAX);
    if status != Status::Ok as u64
        || length > into.len() as u64
        || replied != (reply_head + padded(length as usize)) as u64
    {
        fatal::host_misbehaved("a reply larger than its request allows");
    }
    let length = length as usize;
    // SAFETY: as above; `replied` bytes hold head and payload.
    unsafe { untrusted::copy_in(buffer + reply_head as u64, &mut into[..length]) };
    Ok((C::Reply::from_words(&words), length))
}
