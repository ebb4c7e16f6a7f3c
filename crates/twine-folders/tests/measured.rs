//! Measured files against hosts that lie.

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use common::*;
use ring::digest::{SHA256, digest};
use twine_abi::calls::Call;
use twine_abi::wire::Status;
use twine_folders::{MeasuredFolder, NamedFile};
use twine_vfs::{Error, FileSystem, FileType, Ino};

const CHUNK: usize = 64 << 10;

/// What the host shows, how often it was asked to read, and what was reported.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    files: BTreeMap<u64, Vec<u8>>,
    reads: u64,
    reports: Vec<String>,
}

impl Shown {
    fn set(&self, inode: u64, contents: Vec<u8>) {
        self.0.lock().unwrap().files.insert(inode, contents);
    }

    fn reads(&self) -> u64 {
        std::mem::take(&mut self.0.lock().unwrap().reads)
    }

    fn reports(&self) -> Vec<String> {
        self.0.lock().unwrap().reports.clone()
    }

    /// A host with `f` (2) and `d/g` (4).
    fn host(&self) -> Host {
        let shown = self.clone();
        Host::new(move |call, words, data| match call {
            Call::FolderOpen => node(1, DIRECTORY, 1),
            Call::FolderLookup => match (words[0], data) {
                (1, b"f") => node(2, FILE, 2),
                (1, b"d") => node(3, DIRECTORY, 3),
                (3, b"g") => node(4, FILE, 4),
                _ => Err(Status::NotFound),
            },
            Call::FolderRead => {
                let mut shown = shown.0.lock().unwrap();
                shown.reads += 1;
                let contents = shown.files.get(&words[0]).ok_or(Status::Io)?;
                let rest = contents.get(words[1] as usize..).unwrap_or_default();
                // Short answers are allowed.
                let count = rest.len().min(words[2] as usize).min(40_000);
                Ok((vec![], rest[..count].to_vec()))
            }
            Call::FolderClose => Ok((vec![], vec![])),
            other => panic!("{other:?} is not needed for measured files"),
        })
    }

    fn folder(&self, files: &[(&str, &[u8])]) -> MeasuredFolder<Host> {
        let files = files.iter().map(|(path, contents)| NamedFile {
            path: (*path).to_owned(),
            size: contents.len() as u64,
            sha256: digest(&SHA256, contents).as_ref().try_into().unwrap(),
        });
        let shown = self.clone();
        let report = move |message: &str| shown.0.lock().unwrap().reports.push(message.to_owned());
        MeasuredFolder::new(self.host(), "/lib", files, report).unwrap()
    }
}

fn contents(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 251 + i) as u8).collect()
}

fn find(folder: &impl FileSystem, path: &str) -> Ino {
    path.split('/').fold(folder.root(), |dir, name| folder.lookup(dir, name).unwrap().0)
}

fn read(folder: &impl FileSystem, ino: Ino, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0; len];
    let count = folder.read(ino, offset, &mut buf)?;
    buf.truncate(count);
    Ok(buf)
}

#[test]
fn what_the_workload_names_is_read() {
    let shown = Shown::default();
    let (f, g) = (contents(3 * CHUNK + 17), contents(5));
    shown.set(2, f.clone());
    shown.set(4, g.clone());
    let folder = shown.folder(&[("d/g", &g), ("f", &f)]);
    let (f_ino, g_ino) = (find(&folder, "f"), find(&folder, "d/g"));
    assert_eq!(folder.stat(f_ino).unwrap().size, f.len() as u64);
    assert_eq!(shown.reads(), 0, "sizes and names are the workload's");
    for (offset, len) in
        [(0, f.len()), (1, 10), (CHUNK - 3, 7), (f.len() - 1, 100), (f.len(), 5), (f.len() + 9, 1)]
    {
        let expected = &f[offset.min(f.len())..(offset + len).min(f.len())];
        assert_eq!(read(&folder, f_ino, offset as u64, len).unwrap(), expected);
    }
    assert_eq!(read(&folder, g_ino, 0, 100).unwrap(), g);
    let mut names = Vec::new();
    folder
        .readdir(folder.root(), 0, &mut |entry| {
            names.push((entry.name.to_owned(), entry.file_type, entry.cookie));
            true
        })
        .unwrap();
    assert_eq!(names, [("d".to_owned(), FileType::Directory, 1), ("f".to_owned(), FileType::File, 2)]);
    assert_eq!(folder.create(folder.root(), "x"), Err(Error::ReadOnly));
    assert_eq!(folder.write(f_ino, 0, b"x"), Err(Error::ReadOnly));
}

#[test]
fn a_changed_byte_anywhere_is_refused_before_any_is_used() {
    let right = contents(2 * CHUNK + 100);
    for at in [0, CHUNK - 1, CHUNK, 2 * CHUNK + 99] {
        let shown = Shown::default();
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        shown.set(2, wrong);
        let folder = shown.folder(&[("f", &right)]);
        // The first chunk is not to be had either, wherever the change is.
        assert_eq!(read(&folder, find(&folder, "f"), 0, 10), Err(Error::Io), "{at}");
        // And a host that repents is too late.
        shown.set(2, right.clone());
        assert_eq!(read(&folder, find(&folder, "f"), 0, 10), Err(Error::Io));
        assert!(shown.reports()[0].contains("/lib/f"), "{:?}", shown.reports());
    }
}

#[test]
fn a_shorter_file_is_refused_and_a_longer_one_ends_where_the_workload_says() {
    let right = contents(1000);
    let shown = Shown::default();
    shown.set(2, right[..999].to_vec());
    let folder = shown.folder(&[("f", &right)]);
    assert_eq!(read(&folder, find(&folder, "f"), 0, 10), Err(Error::Io));
    let shown = Shown::default();
    shown.set(2, [&right[..], b"more"].concat());
    let folder = shown.folder(&[("f", &right)]);
    assert_eq!(read(&folder, find(&folder, "f"), 0, 2000).unwrap(), right);
}

#[test]
fn a_file_that_changes_between_two_reads_is_refused_and_memory_is_bounded() {
    // 16 MiB: twice what is kept.
    let right = contents(256 * CHUNK);
    let shown = Shown::default();
    shown.set(2, right.clone());
    let folder = shown.folder(&[("f", &right)]);
    let ino = find(&folder, "f");
    assert_eq!(read(&folder, ino, 0, 10).unwrap(), right[..10]);
    shown.reads();
    assert_eq!(read(&folder, ino, 5, 10).unwrap(), right[5..15]);
    assert_eq!(shown.reads(), 0, "what was checked and kept needs no host");
    let last = (255 * CHUNK) as u64;
    assert_eq!(read(&folder, ino, last, 10).unwrap(), right[255 * CHUNK..][..10]);
    assert!(shown.reads() > 0, "not everything is kept");
    let mut wrong = right.clone();
    wrong[200 * CHUNK + 5] ^= 1;
    shown.set(2, wrong);
    assert_eq!(read(&folder, ino, (200 * CHUNK) as u64, 10), Err(Error::Io), "5 bytes further on");
    assert_eq!(read(&folder, ino, (199 * CHUNK) as u64, 10).unwrap(), right[199 * CHUNK..][..10]);
    assert!(shown.reports()[0].contains("changed"));
}

#[test]
fn a_host_that_has_no_such_file_or_another_kind_is_an_error() {
    let right = contents(10);
    for answer in [Err(Status::NotFound), node(2, 9, 2), node(77, DIRECTORY, 2)] {
        let answer = Mutex::new(answer);
        let host = Host::new(move |call, _, _| match call {
            Call::FolderOpen => node(1, DIRECTORY, 1),
            Call::FolderLookup => answer.lock().unwrap().clone(),
            _ => Err(Status::Io),
        });
        let file = NamedFile {
            path: "f".into(),
            size: 10,
            sha256: digest(&SHA256, &right).as_ref().try_into().unwrap(),
        };
        let folder = MeasuredFolder::new(host, "/lib", [file], |_| ()).unwrap();
        assert_eq!(read(&folder, find(&folder, "f"), 0, 10), Err(Error::Io));
    }
}
