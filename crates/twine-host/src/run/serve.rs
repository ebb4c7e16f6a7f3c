//! The host calls, served.

use std::io::{ErrorKind, Write as _};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use twine_abi::calls::*;
use twine_abi::wire::Status;
use twine_volume::store::Store as _;

use super::End;
use super::folders::Opened;
use super::stop;
use super::thread::{self, Shared};
use crate::backend::{PageError, Perms};
use crate::quote::QuoteProvider;

/// The last quote that collateral was asked for, and the answer: it goes out in pieces.
pub type LastCollateral = Option<(Vec<u8>, Vec<u8>)>;

/// Serves one enclave thread.
pub struct Service(Arc<Shared>);

impl Service {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Waits for standard input, a time, or the request to stop. Whether standard input is ready.
    fn poll(&self, stdin: bool, timeout: Option<Duration>) -> Result<bool, Status> {
        let streams = self.0.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let stdin_fd = streams.stdin.try_clone().map_err(|_| Status::Exhausted)?;
        drop(streams);
        let mut fds = Vec::with_capacity(2);
        if stdin {
            fds.push(PollFd::new(&stdin_fd, PollFlags::IN));
        }
        if let Some(event) = &self.0.stop.event {
            fds.push(PollFd::new(event, PollFlags::IN));
        }
        let timeout = timeout
            .map(|time| Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() });
        match poll(&mut fds, timeout.as_ref()) {
            // Regular files and closed pipes are always ready; what read(2) says about them is the answer.
            Ok(_) => Ok(stdin && !fds[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(_) => Err(Status::Io),
        }
    }

    fn stores(&self) -> std::sync::MutexGuard<'_, super::stores::Stores> {
        self.0.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> std::sync::MutexGuard<'_, super::peers::Peers> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn quotes(&self) -> Result<Arc<dyn QuoteProvider>, Status> {
        self.0.quotes.clone().ok_or(Status::Unsupported)
    }

    /// The enclave learns that something failed; the person at the host what.
    fn complain(&self, error: &dyn std::fmt::Display) -> Status {
        let mut streams = self.0.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(streams.log, "{error}");
        Status::Io
    }

    fn folders(&self) -> std::sync::MutexGuard<'_, super::folders::Folders> {
        self.0.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(bytes: &[u8], offset: u64, max: u64, out: &mut [u8]) -> Result<(u64, usize), Status> {
        let rest =
            usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).ok_or(Status::Invalid)?;
        let count = rest.len().min(out.len()).min(usize::try_from(max).unwrap_or(usize::MAX));
        out[..count].copy_from_slice(&rest[..count]);
        Ok((bytes.len() as u64, count))
    }
}

/// Bytes of a reply that fits as a whole or not at all.
fn put(bytes: &[u8], out: &mut [u8]) -> Result<usize, Status> {
    out.get_mut(..bytes.len()).ok_or(Status::Exhausted)?.copy_from_slice(bytes);
    Ok(bytes.len())
}

fn duration(nanoseconds: u64) -> Option<Duration> {
    (nanoseconds != u64::MAX).then(|| Duration::from_nanos(nanoseconds))
}

fn page_status(error: PageError) -> Status {
    match error {
        PageError::Range { .. } | PageError::State { .. } => Status::Invalid,
        _ => Status::Exhausted,
    }
}

fn perms(bits: u64) -> Result<Perms, Status> {
    u8::try_from(bits).ok().and_then(Perms::from_bits).ok_or(Status::Invalid)
}

/// What most calls answer: done, no bytes.
fn done<R: Default>() -> Result<(R, usize), Status> {
    Ok((R::default(), 0))
}

impl Server for Service {
    fn run_request(
        &mut self,
        ask: RunRequest,
        _: &[u8],
        out: &mut [u8],
    ) -> Result<(RunRequestReply, usize), Status> {
        let (total, count) = Self::piece(&self.0.request, ask.offset, ask.max, out)?;
        Ok((RunRequestReply { total }, count))
    }

    fn read_module(
        &mut self,
        ask: ReadModule,
        _: &[u8],
        out: &mut [u8],
    ) -> Result<(ReadModuleReply, usize), Status> {
        let len = out.len().min(usize::try_from(ask.max).unwrap_or(usize::MAX));
        let (total, count) = self.0.module.piece(ask.offset, &mut out[..len])?;
        Ok((ReadModuleReply { total }, count))
    }

    fn read_stdin(
        &mut self,
        ask: ReadStdin,
        _: &[u8],
        out: &mut [u8],
    ) -> Result<(ReadStdinReply, usize), Status> {
        loop {
            let ready = self.poll(true, None)?;
            if self.0.stop.is_stopping() {
                return Err(Status::Io);
            }
            if !ready {
                continue;
            }
            let len = out.len().min(usize::try_from(ask.max).unwrap_or(usize::MAX));
            let streams = self.0.streams.lock().unwrap_or_else(PoisonError::into_inner);
            match rustix::io::read(&streams.stdin, &mut out[..len]) {
                Ok(count) => return Ok((ReadStdinReply {}, count)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return Err(Status::Io),
            }
        }
    }

    fn write(&mut self, ask: Write, data: &[u8], _: &mut [u8]) -> Result<(WriteReply, usize), Status> {
        let mut streams = self.0.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let out = match Stream::from_word(ask.stream).ok_or(Status::Invalid)? {
            Stream::Stdout => &mut streams.stdout,
            Stream::Stderr => &mut streams.stderr,
            Stream::Log | Stream::Trace => {
                // One line each, so that they can be told from the guest's own output.
                let text = String::from_utf8_lossy(data);
                for line in text.lines() {
                    let _ = writeln!(streams.log, "{line}");
                }
                return done();
            }
        };
        out.write_all(data).and_then(|()| out.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Status::Closed,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Status::Exhausted,
            _ => Status::Io,
        })?;
        done()
    }

    fn wait(&mut self, ask: Wait, _: &[u8], _: &mut [u8]) -> Result<(WaitReply, usize), Status> {
        let ready = self.poll(ask.stdin == 1, duration(ask.timeout))?;
        Ok((WaitReply { stdin: ready.into() }, 0))
    }

    fn clock(&mut self, _: Clock, _: &[u8], _: &mut [u8]) -> Result<(ClockReply, usize), Status> {
        let now = clock_gettime(ClockId::Monotonic);
        let monotonic = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        let realtime = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        Ok((ClockReply { monotonic, realtime }, 0))
    }

    fn cache_get(
        &mut self,
        ask: CacheGet,
        data: &[u8],
        out: &mut [u8],
    ) -> Result<(CacheGetReply, usize), Status> {
        let name = data.try_into().map_err(|_| Status::Invalid)?;
        let len = out.len().min(usize::try_from(ask.max).unwrap_or(usize::MAX));
        let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, count) = cache.get(name, ask.offset, &mut out[..len])?;
        Ok((CacheGetReply { total }, count))
    }

    fn cache_put(
        &mut self,
        ask: CachePut,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(CachePutReply, usize), Status> {
        let (name, piece) = data.split_first_chunk().ok_or(Status::Invalid)?;
        let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.put(name, ask.offset, ask.total, piece)?;
        done()
    }

    fn progress(&mut self, ask: Progress, _: &[u8], _: &mut [u8]) -> Result<(ProgressReply, usize), Status> {
        let stage = Stage::from_word(ask.stage).ok_or(Status::Invalid)?;
        let mut observer = self.0.observer.lock().unwrap_or_else(PoisonError::into_inner);
        observer.progress(stage, ask.done, ask.total);
        done()
    }

    fn spawn(&mut self, ask: Spawn, _: &[u8], _: &mut [u8]) -> Result<(SpawnReply, usize), Status> {
        let shared = self.0.clone();
        let slot = usize::try_from(ask.slot).map_err(|_| Status::Invalid)?;
        let run = move || {
            if let Some(end) = thread::run(&shared, slot) {
                // The other threads may wait for this one for ever.
                shared.set_end(end);
                stop::drop_enclave(&shared);
            }
        };
        std::thread::Builder::new().spawn(run).map_err(|_| Status::Exhausted)?;
        done()
    }

    fn park(&mut self, ask: Park, _: &[u8], _: &mut [u8]) -> Result<(ParkReply, usize), Status> {
        let bed =
            usize::try_from(ask.slot).ok().and_then(|slot| self.0.beds.get(slot)).ok_or(Status::Invalid)?;
        bed.sleep(duration(ask.timeout));
        done()
    }

    fn wake(&mut self, ask: Wake, _: &[u8], _: &mut [u8]) -> Result<(WakeReply, usize), Status> {
        usize::try_from(ask.slot).ok().and_then(|slot| self.0.beds.get(slot)).ok_or(Status::Invalid)?.wake();
        done()
    }

    fn restrict(&mut self, ask: Restrict, _: &[u8], _: &mut [u8]) -> Result<(RestrictReply, usize), Status> {
        let range = ask.offset..ask.offset.checked_add(ask.length).ok_or(Status::Invalid)?;
        if ask.permissions != 7 {
            self.0.enclave.restrict(range.clone(), perms(ask.permissions)?).map_err(page_status)?;
        }
        self.0.enclave.protect(range, perms(ask.mapping)?).map_err(page_status)?;
        done()
    }

    fn trim(&mut self, ask: Trim, _: &[u8], _: &mut [u8]) -> Result<(TrimReply, usize), Status> {
        let range = ask.offset..ask.offset.checked_add(ask.length).ok_or(Status::Invalid)?;
        self.0.enclave.trim(range).map_err(page_status)?;
        done()
    }

    fn remove(&mut self, ask: Remove, _: &[u8], _: &mut [u8]) -> Result<(RemoveReply, usize), Status> {
        let range = ask.offset..ask.offset.checked_add(ask.length).ok_or(Status::Invalid)?;
        self.0.enclave.remove(range.clone()).map_err(page_status)?;
        // What comes next at these addresses is dynamic memory again.
        self.0.enclave.protect(range, Perms::RW).map_err(page_status)?;
        done()
    }

    fn finish(&mut self, ask: Finish, data: &[u8], _: &mut [u8]) -> Result<(FinishReply, usize), Status> {
        let outcome = match Outcome::from_word(ask.outcome).ok_or(Status::Invalid)? {
            // The program ended by itself on the error of a call that was cut short to stop it.
            Outcome::Exited if self.0.stop.is_stopping() => Outcome::Stopped,
            outcome => outcome,
        };
        let message = String::from_utf8_lossy(data).into_owned();
        self.0.count(|totals| (totals.pages, totals.peak_pages) = (ask.pages, ask.peak_pages));
        self.0.set_end(End::Finished { outcome, code: ask.code as u32, message });
        done()
    }

    fn phase(&mut self, ask: Phase, _: &[u8], _: &mut [u8]) -> Result<(PhaseReply, usize), Status> {
        let phase = StartPhase::from_word(ask.phase).ok_or(Status::Invalid)?;
        let since = self.0.started.elapsed();
        self.0.count(|totals| totals.phases.push((phase, since)));
        self.0.observer.lock().unwrap_or_else(PoisonError::into_inner).phase(phase, since);
        done()
    }

    fn store_open(
        &mut self,
        ask: StoreOpen,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(StoreOpenReply, usize), Status> {
        let (store, length) = self.stores().open(data, ask.write == 1)?;
        Ok((StoreOpenReply { store, length }, 0))
    }

    fn store_read(
        &mut self,
        ask: StoreRead,
        data: &[u8],
        out: &mut [u8],
    ) -> Result<(StoreReadReply, usize), Status> {
        let bytes = self.stores().read(ask.store, ask.pieces, data, out)?;
        Ok((StoreReadReply {}, bytes))
    }

    fn store_write(
        &mut self,
        ask: StoreWrite,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(StoreWriteReply, usize), Status> {
        self.stores().write(ask.store, ask.pieces, ask.durable != 0, data)?;
        done()
    }

    fn store_sync(
        &mut self,
        ask: StoreSync,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<(StoreSyncReply, usize), Status> {
        self.stores().with(ask.store, |store| store.sync())?;
        done()
    }

    fn store_allocate(
        &mut self,
        ask: StoreAllocate,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<(StoreAllocateReply, usize), Status> {
        self.stores().with(ask.store, |store| store.allocate(ask.offset, ask.length))?;
        done()
    }

    fn store_punch(
        &mut self,
        ask: StorePunch,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<(StorePunchReply, usize), Status> {
        self.stores().with(ask.store, |store| store.punch(ask.offset, ask.length))?;
        done()
    }

    fn store_truncate(
        &mut self,
        ask: StoreTruncate,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<(StoreTruncateReply, usize), Status> {
        self.stores().with(ask.store, |store| store.truncate(ask.length))?;
        done()
    }

    fn store_length(
        &mut self,
        ask: StoreLength,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<(StoreLengthReply, usize), Status> {
        let length = self.stores().with(ask.store, |store| store.length())?;
        Ok((StoreLengthReply { length }, 0))
    }

    fn quote_target(
        &mut self,
        _: QuoteTarget,
        _: &[u8],
        out: &mut [u8],
    ) -> Result<(QuoteTargetReply, usize), Status> {
        let target = self.quotes()?.target().map_err(|error| self.complain(&error))?;
        Ok((QuoteTargetReply {}, put(&target, out)?))
    }

    fn quote(&mut self, _: Quote, data: &[u8], out: &mut [u8]) -> Result<(QuoteReply, usize), Status> {
        let report = data.try_into().map_err(|_| Status::Invalid)?;
        let quote = self.quotes()?.quote(report).map_err(|error| self.complain(&error))?;
        Ok((QuoteReply {}, put(&quote, out)?))
    }

    fn collateral(
        &mut self,
        ask: Collateral,
        data: &[u8],
        out: &mut [u8],
    ) -> Result<(CollateralReply, usize), Status> {
        let mut last = self.0.collateral.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(quote, _)| quote != data) {
            let made = self.quotes()?.collateral(data).map_err(|error| self.complain(&error))?;
            *last = Some((data.to_vec(), made));
        }
        let bytes = last.as_ref().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
        let (total, bytes) = Self::piece(bytes, ask.offset, ask.max, out)?;
        Ok((CollateralReply { total }, bytes))
    }

    fn peer_open(
        &mut self,
        _: PeerOpen,
        name: &[u8],
        _: &mut [u8],
    ) -> Result<(PeerOpenReply, usize), Status> {
        let name = std::str::from_utf8(name).map_err(|_| Status::Invalid)?;
        let opened = self.peers().open(name, &self.0.stop);
        let (peer, made) = opened.map_err(|error| self.complain(&error))?;
        Ok((PeerOpenReply { peer, made: made.into() }, 0))
    }

    fn peer_read(
        &mut self,
        ask: PeerRead,
        _: &[u8],
        out: &mut [u8],
    ) -> Result<(PeerReadReply, usize), Status> {
        let len = out.len().min(usize::try_from(ask.max).unwrap_or(usize::MAX));
        let count = self.peers().read(ask.peer, &mut out[..len]).map_err(|_| Status::Io)?;
        Ok((PeerReadReply {}, count))
    }

    fn peer_write(
        &mut self,
        ask: PeerWrite,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(PeerWriteReply, usize), Status> {
        self.peers().write(ask.peer, data, &self.0.stop).map_err(|_| Status::Io)?;
        done()
    }

    fn peer_close(
        &mut self,
        ask: PeerClose,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(PeerCloseReply, usize), Status> {
        let address = self.peers().close(ask.peer).map_err(|_| Status::Invalid)?;
        if !data.is_empty() {
            self.complain(&format_args!("{address}: {}", String::from_utf8_lossy(data)));
        }
        done()
    }

    fn folder_open(
        &mut self,
        ask: FolderOpen,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(FolderOpenReply, usize), Status> {
        let Opened { node, kind, device, inode } = self.folders().open(data, ask.write == 1)?;
        Ok((FolderOpenReply { node, kind, device, inode }, 0))
    }

    fn folder_lookup(
        &mut self,
        ask: FolderLookup,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(FolderLookupReply, usize), Status> {
        let Opened { node, kind, device, inode } = self.folders().look_up(ask.dir, data)?;
        Ok((FolderLookupReply { node, kind, device, inode }, 0))
    }

    fn folder_stat(
        &mut self,
        ask: FolderStat,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<(FolderStatReply, usize), Status> {
        Ok((self.folders().stat(ask.node)?, 0))
    }

    fn folder_read(
        &mut self,
        ask: FolderRead,
        _: &[u8],
        out: &mut [u8],
    ) -> Result<(FolderReadReply, usize), Status> {
        let max = out.len().min(usize::try_from(ask.max).unwrap_or(usize::MAX));
        let count = self.folders().read(ask.node, ask.offset, &mut out[..max])?;
        Ok((FolderReadReply {}, count))
    }

    fn folder_write(
        &mut self,
        ask: FolderWrite,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(FolderWriteReply, usize), Status> {
        let end = self.folders().write(ask.node, ask.offset, data)?;
        Ok((FolderWriteReply { end }, 0))
    }

    fn folder_change(
        &mut self,
        ask: FolderChange,
        _: &[u8],
        _: &mut [u8],
    ) -> Result<(FolderChangeReply, usize), Status> {
        self.folders().change(ask.node, ask.change, [ask.first, ask.second, ask.third])?;
        done()
    }

    fn folder_name(
        &mut self,
        ask: FolderName,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(FolderNameReply, usize), Status> {
        let length = usize::try_from(ask.length).map_err(|_| Status::Invalid)?;
        let (name, second) = data.split_at_checked(length).ok_or(Status::Invalid)?;
        let made = self.folders().name(ask.operation, [ask.node, ask.to], name, second)?;
        let reply =
            made.map(|Opened { node, kind, device, inode }| FolderNameReply { node, kind, device, inode });
        Ok((reply.unwrap_or_default(), 0))
    }

    fn folder_list(
        &mut self,
        ask: FolderList,
        _: &[u8],
        out: &mut [u8],
    ) -> Result<(FolderListReply, usize), Status> {
        let max = out.len().min(usize::try_from(ask.max).unwrap_or(usize::MAX));
        let (count, end) = self.folders().list(ask.node, ask.cookie, &mut out[..max])?;
        Ok((FolderListReply { end: end.into() }, count))
    }

    fn folder_close(
        &mut self,
        _: FolderClose,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(FolderCloseReply, usize), Status> {
        for word in data.chunks_exact(8) {
            self.folders().close(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        done()
    }

    fn anchor(&mut self, ask: Anchor, data: &[u8], out: &mut [u8]) -> Result<(AnchorReply, usize), Status> {
        let expected = usize::try_from(ask.expected).map_err(|_| Status::Invalid)?;
        let (name, store) = self.stores().place(ask.store)?;
        let count =
            self.0.anchors.serve(&name, &store, ask.operation, data.split_at_checked(expected), out)?;
        Ok((AnchorReply {}, count))
    }

    fn store_map(&mut self, ask: StoreMap, _: &[u8], _: &mut [u8]) -> Result<(StoreMapReply, usize), Status> {
        let (address, length, room) = self.stores().map(ask.store)?;
        Ok((StoreMapReply { address, length, room }, 0))
    }

    fn volume_state(
        &mut self,
        ask: VolumeState,
        data: &[u8],
        _: &mut [u8],
    ) -> Result<(VolumeStateReply, usize), Status> {
        let text = String::from_utf8_lossy(data);
        let (name, anchor) = text.split_once('\0').ok_or(Status::Invalid)?;
        let window = Window::from_word(ask.window).ok_or(Status::Invalid)?;
        let volume = super::Volume {
            name: name.to_owned(),
            anchor: anchor.to_owned(),
            window,
            interval: Duration::from_nanos(ask.interval),
            sequence: ask.sequence,
            store_bytes: ask.store_bytes,
            used_bytes: ask.used_bytes,
            cipher: Cipher::from_word(ask.cipher).ok_or(Status::Invalid)?,
        };
        self.0.count(|totals| totals.volumes.push(volume));
        done()
    }

    fn finding(&mut self, ask: Finding, data: &[u8], _: &mut [u8]) -> Result<(FindingReply, usize), Status> {
        let some = |word: u64| (word != u64::MAX).then_some(word);
        let what = String::from_utf8_lossy(data).into_owned();
        let finding = super::Finding { what, inode: some(ask.inode), slot: some(ask.slot) };
        self.0.count(|totals| totals.findings.push(finding));
        done()
    }
}
