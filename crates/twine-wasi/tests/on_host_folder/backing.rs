//! The file system below these tests: a folder of the host.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use twine_abi::calls::*;
use twine_abi::wire::{HostCall, Status, Words};
use twine_folders::{Border, HostFolder};
use twine_host::run::folders::{Folders, Opened, Place};
use twine_vfs::FileSystem;

use crate::guest::Shared;

/// The host's side, called without an enclave between.
pub struct Direct {
    folders: Mutex<Folders>,
    /// Goes when the last test is through with it.
    _folder: Option<tempfile::TempDir>,
}

impl Border for Direct {
    fn call<C: HostCall>(
        &self,
        request: &C,
        data: &[u8],
        into: &mut [u8],
    ) -> Result<(C::Reply, usize), Status> {
        let words = request.to_words();
        let mut folders = self.folders.lock().unwrap();
        let mut reply = [0; twine_abi::wire::MAX_WORDS];
        let opened = |Opened { node, kind, device, inode }: Opened| {
            FolderLookupReply { node, kind, device, inode }.to_words()
        };
        let mut count = 0;
        match C::CALL {
            Call::FolderOpen => reply = opened(folders.open(data, words[0] == 1)?),
            Call::FolderLookup => reply = opened(folders.look_up(words[0], data)?),
            Call::FolderStat => reply = folders.stat(words[0])?.to_words(),
            Call::FolderRead => {
                let max = into.len().min(words[2] as usize);
                count = folders.read(words[0], words[1], &mut into[..max])?;
            }
            Call::FolderWrite => reply[0] = folders.write(words[0], words[1], data)?,
            Call::FolderChange => folders.change(words[0], words[1], [words[2], words[3], words[4]])?,
            Call::FolderName => {
                let (name, second) = data.split_at(words[3] as usize);
                let made = folders.name(words[0], [words[1], words[2]], name, second)?;
                reply = made.map(opened).unwrap_or_default();
            }
            Call::FolderList => {
                let max = into.len().min(words[2] as usize);
                let (listed, end) = folders.list(words[0], words[1], &mut into[..max])?;
                (count, reply[0]) = (listed, end.into());
            }
            Call::FolderClose => {
                for word in data.chunks_exact(8) {
                    folders.close(u64::from_le_bytes(word.try_into().unwrap()));
                }
            }
            other => panic!("{other:?} is not for folders"),
        }
        Ok((C::Reply::from_words(&reply), count))
    }
}

impl Direct {
    pub fn new(path: &Path, writable: bool) -> Self {
        Self::keeping(path.to_owned(), writable, None)
    }

    fn keeping(path: PathBuf, writable: bool, folder: Option<tempfile::TempDir>) -> Self {
        let place = Place { guest: "/".to_owned(), path, writable };
        Self { folders: Mutex::new(Folders::new(vec![place])), _folder: folder }
    }
}

/// An empty one.
pub fn new(_: &Shared) -> Arc<dyn FileSystem> {
    let folder = tempfile::tempdir().unwrap();
    let border = Direct::keeping(folder.path().to_owned(), true, Some(folder));
    Arc::new(HostFolder::open(border, "/", false).unwrap())
}
