//! One enclave thread: enter, serve, pass exceptions on, until it is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use twine_abi::calls::{Call, dispatch, reply_words};
use twine_abi::entry::{Exit as Left, Notice};
use twine_abi::layout::THREADS;
use twine_abi::wire::{BUFFER_SIZE, MAX_WORDS, Status, padded};

use super::buffer::Buffer;
use super::park::Bed;
use super::serve::Service;
use super::stop::Stop;
use super::{End, Job, Liar, Observer, Stats, Streams};
use crate::backend::{Enclave, Exit, Leaf, Regs};
use crate::quote::QuoteProvider;

/// What the threads of one run share.
pub struct Shared {
    pub enclave: Arc<dyn Enclave>,
    pub request: Vec<u8>,
    pub module: Arc<[u8]>,
    pub timeout: Option<Duration>,
    pub started: Instant,
    pub stop: Stop,
    pub beds: [Bed; THREADS],
    turns: [Mutex<()>; THREADS],
    pub streams: Mutex<Streams>,
    pub observer: Mutex<Box<dyn Observer>>,
    pub cache: Mutex<super::cache::Cache>,
    pub stores: Mutex<super::stores::Stores>,
    pub peers: Mutex<super::peers::Peers>,
    pub quotes: Option<Arc<dyn QuoteProvider>>,
    pub folders: Mutex<super::folders::Folders>,
    pub anchors: super::anchors::Anchors,
    pub liar: Mutex<Option<Box<dyn Liar>>>,
    end: Mutex<Option<End>>,
    totals: Mutex<Stats>,
    calls: [AtomicU64; Call::LAST + 1],
}

impl Shared {
    pub fn new(enclave: Arc<dyn Enclave>, job: Job, started: Instant) -> Self {
        Self {
            enclave,
            request: job.request,
            module: job.module,
            timeout: job.timeout,
            started,
            stop: Stop::new(),
            beds: Default::default(),
            turns: Default::default(),
            streams: Mutex::new(job.streams),
            observer: Mutex::new(job.observer),
            cache: Mutex::new(super::cache::Cache::new(job.cache)),
            stores: Mutex::new(super::stores::Stores::new(job.volumes)),
            peers: Mutex::new(super::peers::Peers::new(job.delivery)),
            quotes: job.quotes,
            folders: Mutex::new(super::folders::Folders::new(job.folders)),
            anchors: super::anchors::Anchors::new(job.anchors),
            liar: Mutex::new(job.liar),
            end: Mutex::new(None),
            totals: Mutex::default(),
            calls: [const { AtomicU64::new(0) }; Call::LAST + 1],
        }
    }

    /// Keeps the first end that anybody reports.
    pub fn set_end(&self, end: End) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
    }

    pub fn take_end(&self) -> Option<End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Changes the totals.
    pub fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.totals.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn stats(&self, total: Duration) -> Stats {
        let mut stats = self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stats.total = total;
        stats.calls = Call::ALL
            .iter()
            .map(|&call| (call, self.calls[call as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count != 0)
            .collect();
        stats
    }

    pub fn interrupt_all(&self) {
        for tcs in self.enclave.tcs() {
            self.enclave.interrupt(tcs);
        }
        for bed in &self.beds {
            bed.wake();
        }
    }
}

/// Runs the thread of `slot` until it leaves for good. An answer is how it went wrong.
pub fn run(shared: &Arc<Shared>, slot: usize) -> Option<End> {
    let Some(&tcs) = shared.enclave.tcs().get(slot) else {
        return Some(End::Broken(format!("the image has no thread slot {slot}")));
    };
    // The enclave gives a slot out again a moment before its last thread has left.
    let _turn = shared.turns.get(slot).map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
    let mut thread = Thread { shared, buffer: Buffer::new(), counts: Stats::default(), asked_to_stop: false };
    let end = thread.run(tcs);
    let Stats { bytes_out, bytes_in, entries, exceptions, interrupts, inside, outside, .. } = thread.counts;
    shared.count(|totals| {
        totals.bytes_out += bytes_out;
        totals.bytes_in += bytes_in;
        totals.entries += entries;
        totals.exceptions += exceptions;
        totals.interrupts += interrupts;
        totals.inside += inside;
        totals.outside += outside;
    });
    end
}

struct Thread<'a> {
    shared: &'a Arc<Shared>,
    buffer: Buffer,
    counts: Stats,
    asked_to_stop: bool,
}

impl Thread<'_> {
    fn run(&mut self, tcs: u64) -> Option<End> {
        let mut service = Service::new(self.shared.clone());
        let mut leaf = Leaf::Eenter;
        let mut regs = Regs { rdi: self.buffer.address(), rsi: BUFFER_SIZE as u64, ..Regs::default() };
        let mut notice = None;
        loop {
            if self.shared.stop.is_dropped() {
                return Some(End::TimedOut);
            }
            if leaf == Leaf::Eenter {
                self.counts.entries += 1;
            }
            let entered = Instant::now();
            let exit = self.shared.enclave.enter(leaf, tcs, &mut regs);
            let left = Instant::now();
            self.counts.inside += left - entered;
            match exit {
                Err(fault) => return Some(End::Broken(describe_fault(&fault, notice))),
                Ok(Exit::Exception(_)) => {
                    self.counts.exceptions += 1;
                    notice = Some(Notice::Exception);
                }
                Ok(Exit::Interrupted) => {
                    self.counts.interrupts += 1;
                    let stop = self.shared.stop.is_stopping() && !self.asked_to_stop;
                    notice = stop.then_some(Notice::Stop);
                }
                Ok(Exit::Exited) => match Left::from_register(regs.rdi) {
                    Some(Left::Call) => {
                        let length = self.serve(&mut service, regs.rsi);
                        self.counts.outside += left.elapsed();
                        regs = Regs { rdi: length, ..Regs::default() };
                        leaf = Leaf::Eenter;
                        continue;
                    }
                    Some(Left::Idle) => return None,
                    Some(Left::Dead) => return Some(End::Died(self.last_words(regs.rsi))),
                    Some(Left::Handled) => {
                        self.asked_to_stop |= notice == Some(Notice::Stop);
                        notice = None;
                    }
                    Some(Left::Refused) if notice == Some(Notice::Stop) => notice = None,
                    Some(Left::Refused) => {
                        return Some(End::Broken(
                            "an exception hit the enclave on its way in or out".to_owned(),
                        ));
                    }
                    None => {
                        return Some(End::Broken(
                            "the enclave speaks another version of the border".to_owned(),
                        ));
                    }
                },
            }
            (leaf, regs) = match notice {
                Some(notice) => (Leaf::Eenter, Regs { rdi: notice as u64, ..Regs::default() }),
                None => (Leaf::Eresume, Regs::default()),
            };
        }
    }

    /// Serves the request in the buffer; the length of the reply, which is in the buffer then.
    fn serve(&mut self, service: &mut Service, length: u64) -> u64 {
        let buffer = self.buffer.bytes();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(BUFFER_SIZE);
        self.counts.bytes_out += length as u64;
        let mut liar = self.shared.liar.lock().unwrap_or_else(PoisonError::into_inner);
        let call = Call::from_word(u64::from_le_bytes(buffer[..8].try_into().unwrap_or_default()));
        if let (Some(liar), Some(call)) = (liar.as_mut(), call) {
            liar.asked(call, &buffer[..length]);
        }
        drop(liar);
        let reply = answer(service, &self.shared.calls, &mut buffer[..], length);
        let mut length = reply.unwrap_or_else(|status| {
            buffer[..8].copy_from_slice(&(status as u64).to_le_bytes());
            8
        });
        let mut liar = self.shared.liar.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(liar), Some(call)) = (liar.as_mut(), call) {
            length = liar.answers(call, &mut buffer[..], length);
        }
        self.counts.bytes_in += length as u64;
        length as u64
    }

    fn last_words(&mut self, length: u64) -> String {
        let length = usize::try_from(length).unwrap_or(0).min(BUFFER_SIZE);
        String::from_utf8_lossy(&self.buffer.bytes()[..length]).into_owned()
    }
}

fn answer(
    service: &mut Service,
    calls: &[AtomicU64],
    buffer: &mut [u8],
    length: usize,
) -> Result<usize, Status> {
    let mut words =
        buffer[..length].chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let call = Call::from_word(words.next().ok_or(Status::Invalid)?).ok_or(Status::Unsupported)?;
    calls[call as usize].fetch_add(1, Ordering::Relaxed);
    let mut request = [0; MAX_WORDS];
    for slot in request.iter_mut().take(call.request_words()) {
        *slot = words.next().ok_or(Status::Invalid)?;
    }
    let bytes = usize::try_from(words.next().ok_or(Status::Invalid)?).map_err(|_| Status::Invalid)?;
    let head = 8 * (call.request_words() + 2);
    if head.checked_add(bytes).is_none_or(|end| end > length) {
        return Err(Status::Invalid);
    }
    let data = buffer[head..head + bytes].to_vec();
    let reply_head = 8 * (reply_words(call) + 2);
    let (words, count, written) = dispatch(service, call, &request, &data, &mut buffer[reply_head..])?;
    let head = [Status::Ok as u64].into_iter().chain(words.into_iter().take(count)).chain([written as u64]);
    for (slot, word) in buffer.chunks_exact_mut(8).zip(head) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    Ok(reply_head + padded(written))
}

fn describe_fault(fault: &crate::backend::EntryFault, notice: Option<Notice>) -> String {
    match notice {
        Some(Notice::Exception) => format!("the enclave faulted in its own exception handler ({fault})"),
        _ => fault.to_string(),
    }
}
