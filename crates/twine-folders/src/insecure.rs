//! A folder of the host in clear (`insecure-host`).
//!
//! The host names nodes by handles, which mean nothing here; the enclave numbers them by what the host says of their
//! identity. Names go out one component at a time, so neither side ever resolves a path of the other's.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use twine_abi::calls::*;
use twine_abi::folder::Entries;
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_vfs::{DirEntry, Error, FileSystem, FileType, Ino, Result, SetTime, Stat, Times, check_name};

use crate::Border;
use crate::answer::{Found, SIZE_MAX, file_type, may, refusal, size};

/// Nodes that nobody holds open and whose handles are kept all the same: as deep as a path can climb back by `..`.
const IDLE: usize = 256;
/// Most bytes of one listing.
const LISTING: usize = 64 << 10;
/// Longest target of a symbolic link (PATH_MAX on Linux, its NUL not counted).
const TARGET_MAX: usize = 4095;

/// A folder of the host.
pub struct HostFolder<B> {
    border: B,
    root: Ino,
    read_only: bool,
    nodes: Mutex<Nodes>,
}

impl<B: Border> HostFolder<B> {
    /// Opens the folder behind the mount `guest`.
    ///
    /// # Errors
    /// [`Error::NotFound`]: the host has none; [`Error::NotDirectory`]; [`Error::Io`]: an impossible answer.
    pub fn open(border: B, guest: &str, read_only: bool) -> Result<Self> {
        let ask = FolderOpen { write: (!read_only).into() };
        let (reply, _) = border.call(&ask, guest.as_bytes(), &mut []).map_err(refusal(may::MAKE))?;
        let found = Found::new(reply.node, reply.kind, reply.device, reply.inode)?;
        if found.file_type != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        let mut nodes = Nodes::default();
        let root = nodes.insert(found);
        nodes.get_mut(root)?.opens = 1;
        Ok(Self { border, root, read_only, nodes: Mutex::new(nodes) })
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, ino: Ino) -> Result<u64> {
        Ok(self.nodes().get_mut(ino)?.handle)
    }

    fn directory(&self, ino: Ino) -> Result<u64> {
        match self.nodes().get_mut(ino)? {
            Node { file_type: FileType::Directory, handle, .. } => Ok(*handle),
            _ => Err(Error::NotDirectory),
        }
    }

    fn file(&self, ino: Ino) -> Result<u64> {
        match self.nodes().get_mut(ino)? {
            Node { file_type: FileType::File, handle, .. } => Ok(*handle),
            Node { file_type: FileType::Directory, .. } => Err(Error::IsDirectory),
            Node { file_type: FileType::Symlink, .. } => Err(Error::Invalid),
        }
    }

    /// Numbers what the host has opened, and gives the handles back that are not needed any more.
    fn adopt(&self, found: Found) -> Result<(Ino, FileType)> {
        let mut nodes = self.nodes();
        let known = nodes.numbers.get(&found.identity).copied();
        let adopted = match known {
            None => Ok(nodes.insert(found)),
            Some(ino) => {
                let node = nodes.get_mut(ino)?;
                let (kept, same) = (node.handle, node.file_type == found.file_type);
                if found.handle != kept {
                    nodes.closing.push(found.handle);
                }
                // While a node is open, its number cannot become another's.
                if same { Ok(ino) } else { Err(Error::Io) }
            }
        };
        if let Ok(ino) = adopted {
            nodes.evict(ino);
        }
        let closing = std::mem::take(&mut nodes.closing);
        drop(nodes);
        self.give_back(&closing);
        adopted.map(|ino| (ino, found.file_type))
    }

    fn give_back(&self, handles: &[u64]) {
        let words: Vec<u8> = handles.iter().flat_map(|handle| handle.to_le_bytes()).collect();
        if !words.is_empty() {
            let _ = self.border.call(&FolderClose {}, &words, &mut []);
        }
    }

    fn change(&self, node: u64, change: NodeChange, words: [u64; 3]) -> Result<()> {
        let [first, second, third] = words;
        let ask = FolderChange { node, change: change as u64, first, second, third };
        self.border.call(&ask, &[], &mut []).map(|_| ()).map_err(refusal(may::CHANGE))
    }

    fn name(
        &self,
        operation: NameOperation,
        [node, to]: [u64; 2],
        [name, second]: [&str; 2],
        may: &'static [Status],
    ) -> Result<FolderNameReply> {
        check_name(name)?;
        let ask = FolderName { operation: operation as u64, node, to, length: name.len() as u64 };
        let data = [name.as_bytes(), second.as_bytes()].concat();
        self.border.call(&ask, &data, &mut []).map(|(reply, _)| reply).map_err(refusal(may))
    }

    fn make(&self, operation: NameOperation, dir: Ino, names: [&str; 2], expected: FileType) -> Result<Ino> {
        let reply = self.name(operation, [self.directory(dir)?, 0], names, may::MAKE)?;
        let found = Found::new(reply.node, reply.kind, reply.device, reply.inode)?;
        if found.file_type != expected {
            return Err(Error::Io);
        }
        Ok(self.adopt(found)?.0)
    }

    /// Reads once, at most what one message holds.
    fn read_some(&self, node: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let max = buf.len().min(MAX_PAYLOAD);
        let ask = FolderRead { node, offset, max: max as u64 };
        self.border.call(&ask, &[], &mut buf[..max]).map(|(_, got)| got).map_err(refusal(may::READ))
    }

    fn write_some(&self, node: u64, offset: u64, bytes: &[u8]) -> Result<u64> {
        let ask = FolderWrite { node, offset };
        self.border.call(&ask, bytes, &mut []).map(|(reply, _)| reply.end).map_err(refusal(may::WRITE))
    }

    fn ask_list(&self, ask: FolderList, into: &mut [u8]) -> Result<(FolderListReply, usize)> {
        self.border.call(&ask, &[], into).map_err(refusal(may::LIST))
    }
}

fn end_of(offset: u64, len: u64) -> Result<u64> {
    offset.checked_add(len).filter(|end| *end <= SIZE_MAX).ok_or(Error::TooLarge)
}

impl<B: Border> FileSystem for HostFolder<B> {
    fn root(&self) -> Ino {
        self.root
    }

    fn lookup(&self, dir: Ino, name: &str) -> Result<(Ino, FileType)> {
        check_name(name)?;
        let ask = FolderLookup { dir: self.directory(dir)? };
        let (reply, _) = self.border.call(&ask, name.as_bytes(), &mut []).map_err(refusal(may::LOOK_UP))?;
        self.adopt(Found::new(reply.node, reply.kind, reply.device, reply.inode)?)
    }

    fn open(&self, ino: Ino) -> Result<()> {
        let (handle, first) = {
            let mut nodes = self.nodes();
            let node = nodes.get_mut(ino)?;
            node.opens += 1;
            (node.handle, node.opens == 1 && node.file_type == FileType::File)
        };
        // The host opens the file at its first use: a refusal belongs here.
        let opened = if first { self.read_some(handle, 0, &mut []).map(|_| ()) } else { Ok(()) };
        if opened.is_err() {
            self.close(ino);
        }
        opened
    }

    fn close(&self, ino: Ino) {
        let mut nodes = self.nodes();
        if let Ok(node) = nodes.get_mut(ino) {
            node.opens = node.opens.saturating_sub(1);
            // Its name may be gone, and with it what would ever ask for this handle again.
            let closing = if node.opens == 0 { nodes.remove(ino) } else { None };
            drop(nodes);
            self.give_back(closing.as_slice());
        }
    }

    fn stat(&self, ino: Ino) -> Result<Stat> {
        let (handle, expected, identity) = {
            let mut nodes = self.nodes();
            let node = nodes.get_mut(ino)?;
            (node.handle, node.file_type, node.identity)
        };
        let ask = FolderStat { node: handle };
        let (told, _) = self.border.call(&ask, &[], &mut []).map_err(refusal(may::READ))?;
        if file_type(told.kind)? != expected || (told.device, told.inode) != identity {
            return Err(Error::Io);
        }
        Ok(Stat {
            ino,
            file_type: expected,
            // A directory's is the host's own affair.
            size: if expected == FileType::Directory { 0 } else { size(told.size)? },
            links: told.links,
            accessed: told.accessed,
            modified: told.modified,
            changed: told.changed,
        })
    }

    fn set_times(&self, ino: Ino, times: Times) -> Result<()> {
        let word = |time| match time {
            SetTime::Keep => (TimeChange::Keep as u64, 0),
            SetTime::Now => (TimeChange::Now as u64, 0),
            SetTime::At(time) => (TimeChange::At as u64, time),
        };
        let ((accessed, a), (modified, m)) = (word(times.accessed), word(times.modified));
        self.change(self.handle(ino)?, NodeChange::Times, [accessed | modified << 8, a, m])
    }

    fn set_size(&self, ino: Ino, size: u64) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Error::TooLarge);
        }
        self.change(self.file(ino)?, NodeChange::Size, [size, 0, 0])
    }

    fn allocate(&self, ino: Ino, offset: u64, len: u64) -> Result<()> {
        end_of(offset, len)?;
        self.change(self.file(ino)?, NodeChange::Allocate, [offset, len, 0])
    }

    fn read(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let node = self.file(ino)?;
        let mut done = 0;
        while done < buf.len() && offset.saturating_add(done as u64) < SIZE_MAX {
            match self.read_some(node, offset + done as u64, &mut buf[done..])? {
                0 => break,
                got => done += got,
            }
        }
        Ok(done)
    }

    fn write(&self, ino: Ino, offset: u64, buf: &[u8]) -> Result<()> {
        let node = self.file(ino)?;
        end_of(offset, buf.len() as u64)?;
        let mut at = offset;
        for piece in buf.chunks(MAX_PAYLOAD) {
            let end = at + piece.len() as u64;
            if self.write_some(node, at, piece)? != end {
                return Err(Error::Io);
            }
            at = end;
        }
        Ok(())
    }

    fn append(&self, ino: Ino, buf: &[u8]) -> Result<u64> {
        let node = self.file(ino)?;
        let mut end = None;
        for piece in buf.chunks(MAX_PAYLOAD) {
            let new = size(self.write_some(node, u64::MAX, piece)?)?;
            if new < end.unwrap_or(0) + piece.len() as u64 {
                return Err(Error::Io);
            }
            end = Some(new);
        }
        match end {
            Some(end) => Ok(end),
            None => Ok(self.stat(ino)?.size),
        }
    }

    fn create(&self, dir: Ino, name: &str) -> Result<Ino> {
        self.make(NameOperation::Create, dir, [name, ""], FileType::File)
    }

    fn mkdir(&self, dir: Ino, name: &str) -> Result<Ino> {
        self.make(NameOperation::MakeDirectory, dir, [name, ""], FileType::Directory)
    }

    fn symlink(&self, dir: Ino, name: &str, target: &str) -> Result<Ino> {
        self.make(NameOperation::Symlink, dir, [name, target], FileType::Symlink)
    }

    fn readlink(&self, ino: Ino) -> Result<String> {
        let node = match self.nodes().get_mut(ino)? {
            Node { file_type: FileType::Symlink, handle, .. } => *handle,
            _ => return Err(Error::Invalid),
        };
        let mut target = vec![0; TARGET_MAX];
        let got = self.read_some(node, 0, &mut target)?;
        target.truncate(got);
        match String::from_utf8(target) {
            Ok(target) if !target.is_empty() && !target.contains('\0') => Ok(target),
            _ => Err(Error::Io),
        }
    }

    fn link(&self, ino: Ino, dir: Ino, name: &str) -> Result<()> {
        let node = match self.nodes().get_mut(ino)? {
            Node { file_type: FileType::Directory, .. } => return Err(Error::NotPermitted),
            node => node.handle,
        };
        self.name(NameOperation::Link, [node, self.directory(dir)?], [name, ""], may::MAKE).map(|_| ())
    }

    fn unlink(&self, dir: Ino, name: &str) -> Result<()> {
        self.name(NameOperation::Unlink, [self.directory(dir)?, 0], [name, ""], may::UNLINK).map(|_| ())
    }

    fn rmdir(&self, dir: Ino, name: &str) -> Result<()> {
        self.name(NameOperation::RemoveDirectory, [self.directory(dir)?, 0], [name, ""], may::REMOVE)
            .map(|_| ())
    }

    fn rename(&self, from: Ino, from_name: &str, to: Ino, to_name: &str) -> Result<()> {
        check_name(to_name)?;
        let nodes = [self.directory(from)?, self.directory(to)?];
        self.name(NameOperation::Rename, nodes, [from_name, to_name], may::RENAME).map(|_| ())
    }

    fn readdir(&self, dir: Ino, cookie: u64, visit: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let node = self.directory(dir)?;
        if cookie > SIZE_MAX {
            return Ok(());
        }
        let mut listing = vec![0; LISTING];
        let mut cookie = cookie;
        loop {
            let ask = FolderList { node, cookie, max: LISTING as u64 };
            let (reply, got) = match self.ask_list(ask, &mut listing) {
                // A directory that was removed while it is open has no entries.
                Err(Error::NotFound) => return Ok(()),
                answer => answer?,
            };
            let mut entries = Entries::new(&listing[..got]).peekable();
            // A host that has more and shows nothing would keep this going for ever.
            if reply.end != 1 && entries.peek().is_none() {
                return Err(Error::Io);
            }
            for entry in entries {
                let entry = entry.ok_or(Error::Io)?;
                if check_name(entry.name).is_err() || entry.cookie == 0 || entry.cookie > SIZE_MAX {
                    return Err(Error::Io);
                }
                cookie = entry.cookie;
                let entry = DirEntry {
                    cookie,
                    name: entry.name,
                    ino: Ino(entry.inode),
                    file_type: file_type(entry.kind as u64)?,
                };
                if !visit(entry) {
                    return Ok(());
                }
            }
            if reply.end == 1 {
                return Ok(());
            }
        }
    }

    fn sync(&self, ino: Ino, data_only: bool) -> Result<()> {
        let change = if data_only { NodeChange::DataSync } else { NodeChange::Sync };
        self.change(self.handle(ino)?, change, [0; 3])
    }

    fn read_only(&self) -> bool {
        self.read_only
    }
}

/// What is open at the host.
#[derive(Default)]
struct Nodes {
    nodes: HashMap<Ino, Node>,
    numbers: HashMap<(u64, u64), Ino>,
    closing: Vec<u64>,
    time: u64,
}

struct Node {
    handle: u64,
    file_type: FileType,
    identity: (u64, u64),
    opens: u64,
    used: u64,
}

impl Nodes {
    fn get_mut(&mut self, ino: Ino) -> Result<&mut Node> {
        self.time += 1;
        let node = self.nodes.get_mut(&ino).ok_or(Error::NotFound)?;
        node.used = self.time;
        Ok(node)
    }

    /// The host's number serves as ours unless another node has it: numbers are unique on one device only.
    fn insert(&mut self, Found { handle, file_type, identity }: Found) -> Ino {
        let mut ino = Ino(identity.1);
        while self.nodes.contains_key(&ino) {
            ino.0 = ino.0.wrapping_add(1 << 32 | 1);
        }
        self.time += 1;
        self.nodes.insert(ino, Node { handle, file_type, identity, opens: 0, used: self.time });
        self.numbers.insert(identity, ino);
        ino
    }

    fn remove(&mut self, ino: Ino) -> Option<u64> {
        let node = self.nodes.remove(&ino)?;
        self.numbers.remove(&node.identity);
        Some(node.handle)
    }

    /// Keeps the idle ones in their bound, and `newest` in any case.
    fn evict(&mut self, newest: Ino) {
        let idle = || self.nodes.iter().filter(move |(ino, node)| node.opens == 0 && **ino != newest);
        if idle().count() > IDLE
            && let Some((&oldest, _)) = idle().min_by_key(|(_, node)| node.used)
        {
            let handle = self.remove(oldest);
            self.closing.extend(handle);
        }
    }
}
