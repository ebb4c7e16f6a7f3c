//! What the tests share: a seeded generator, providers, dumps of whole file systems, random histories.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use twine_vfs::{FileSystem, FileType, Ino, SetTime, Times};

use crate::provider::{Clock, Entropy, EntropyFailed};
use crate::store::Store;
use crate::{Environment, MasterKey, Options, Result, Volume};

/// SplitMix64: repeatable, and each test prints its seed.
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut out = vec![0; n];
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        out
    }
}

impl Entropy for Random {
    fn fill(&mut self, buf: &mut [u8]) -> std::result::Result<(), EntropyFailed> {
        buf.copy_from_slice(&self.bytes(buf.len()));
        Ok(())
    }
}

/// A clock that the test sets.
#[derive(Clone, Default)]
pub(super) struct TestClock(pub(super) Arc<AtomicU64>);

impl Clock for TestClock {
    fn now(&mut self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) fn master() -> MasterKey {
    MasterKey::new([7; 32])
}

pub(super) fn environment(seed: u64, clock: &TestClock) -> Environment {
    Environment { entropy: Box::new(Random(seed)), clock: Box::new(clock.clone()), anchor: None }
}

/// The smallest cache: everything is evicted all the time.
pub(super) fn tiny() -> Options {
    Options { cache_bytes: 0, ..Options::default() }
}

pub(super) fn create(store: impl Store + 'static, seed: u64, options: &Options) -> Result<Volume> {
    Volume::create(Box::new(store), &master(), environment(seed, &TestClock::default()), options)
}

pub(super) fn open(store: impl Store + 'static, seed: u64, options: &Options) -> Result<Volume> {
    Volume::open(Box::new(store), &master(), environment(seed, &TestClock::default()), options)
}

/// A file, directory or link as a dump shows it. Hard links show as equal numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    what: String,
    times: (u64, u64, u64),
    contents: Vec<u8>,
    same_as: u64,
}

/// Everything that can be seen of a file system, by path.
pub(super) type Dump = BTreeMap<String, Node>;

pub(super) fn dump(fs: &dyn FileSystem) -> twine_vfs::Result<Dump> {
    let mut out = Dump::new();
    let mut first_seen = BTreeMap::new();
    let mut todo = vec![(String::new(), fs.root())];
    while let Some((path, ino)) = todo.pop() {
        let stat = fs.stat(ino)?;
        let mut contents = Vec::new();
        match stat.file_type {
            FileType::File => {
                // Sparse giants are compared by their first and last 64 KiB.
                let part = 64 * 1024;
                contents = vec![0; stat.size.min(2 * part) as usize];
                let n = contents.len().min(part as usize);
                let tail = contents.len() - n;
                assert_eq!(fs.read(ino, 0, &mut contents[..n])?, n);
                assert_eq!(fs.read(ino, stat.size - tail as u64, &mut contents[n..])?, tail);
            }
            FileType::Symlink => contents = fs.readlink(ino)?.into_bytes(),
            FileType::Directory => {
                fs.readdir(ino, 0, &mut |entry| {
                    todo.push((format!("{path}/{}", entry.name), entry.ino));
                    true
                })?;
            }
        }
        first_seen.entry(ino).or_insert_with(Vec::new).push(path.clone());
        let what = format!("{:?} size {} links {}", stat.file_type, stat.size, stat.links);
        let times = (stat.accessed, stat.modified, stat.changed);
        out.insert(path, Node { what, times, contents, same_as: 0 });
    }
    // The order of a walk differs between file systems: hard links are named by their first path.
    for (number, mut paths) in (1..).zip({
        let mut groups: Vec<Vec<String>> = first_seen.into_values().filter(|g| g.len() > 1).collect();
        groups.iter_mut().for_each(|g| g.sort());
        groups.sort();
        groups
    }) {
        paths.drain(..).for_each(|path| {
            if let Some(node) = out.get_mut(&path) {
                node.same_as = number;
            }
        });
    }
    Ok(out)
}

/// One step of a history: what to do is drawn from the generator, where from what exists.
pub(super) struct Driver {
    pub(super) random: Random,
    /// Files that are open: they outlive their names.
    open: Vec<(Ino, Ino)>,
    /// Largest offset of a write.
    pub(super) reach: u64,
}

impl Driver {
    pub(super) fn new(seed: u64) -> Driver {
        Driver { random: Random(seed), open: Vec::new(), reach: 300_000 }
    }

    /// Does the same thing to both and compares the answers. The inodes of the two differ, the paths do not.
    pub(super) fn step(
        &mut self,
        model: &dyn FileSystem,
        volume: &dyn FileSystem,
    ) -> (String, twine_vfs::Result<()>) {
        let dirs = walk(model);
        let pick = self.random.below(dirs.len() as u64) as usize;
        let (dir_path, entries) = dirs[pick].clone();
        let at = |fs: &dyn FileSystem, path: &str| resolve(fs, path);
        let (m, v) = (at(model, &dir_path).expect("a model's path"), at(volume, &dir_path).unwrap_or(Ino(0)));
        let name = match entries.len() {
            n if n > 0 && self.random.below(3) > 0 => entries[self.random.below(n as u64) as usize].clone(),
            _ => format!("n{}", self.random.below(12)),
        };
        let path = format!("{dir_path}/{name}");
        let file = (at(model, &path), at(volume, &path));
        let both = |f: &dyn Fn(&dyn FileSystem, Ino) -> twine_vfs::Result<()>| (f(model, m), f(volume, v));
        let choice = self.random.below(100);
        let (what, (a, b)) = match choice {
            0..15 => (format!("create {path}"), both(&|fs, d| fs.create(d, &name).map(|_| ()))),
            15..20 => (format!("mkdir {path}"), both(&|fs, d| fs.mkdir(d, &name).map(|_| ()))),
            20..24 => {
                let target = "t".repeat(1 + self.random.below(200) as usize);
                (format!("symlink {path}"), both(&|fs, d| fs.symlink(d, &name, &target).map(|_| ())))
            }
            24..32 => (format!("unlink {path}"), both(&|fs, d| fs.unlink(d, &name))),
            32..35 => (format!("rmdir {path}"), both(&|fs, d| fs.rmdir(d, &name))),
            35..45 => {
                let (to_dir, to_entries) = dirs[self.random.below(dirs.len() as u64) as usize].clone();
                let to_name = match to_entries.len() {
                    n if n > 0 && self.random.below(2) > 0 => {
                        to_entries[self.random.below(n as u64) as usize].clone()
                    }
                    _ => format!("n{}", self.random.below(12)),
                };
                let to = (at(model, &to_dir).expect("a path"), at(volume, &to_dir).unwrap_or(Ino(0)));
                let done = (model.rename(m, &name, to.0, &to_name), volume.rename(v, &name, to.1, &to_name));
                (format!("rename {path} to {to_dir}/{to_name}"), done)
            }
            45..50 => {
                let (Some(a), Some(b)) = file else { return ("nothing".into(), Ok(())) };
                let to_name = format!("n{}", self.random.below(12));
                (
                    format!("link {path} as {to_name}"),
                    (model.link(a, m, &to_name), volume.link(b, v, &to_name)),
                )
            }
            _ => {
                let (a, b) = match (file, self.open.last()) {
                    (_, Some((a, b))) if self.random.below(4) == 0 => (*a, *b),
                    ((Some(a), Some(b)), _) => (a, b),
                    _ => return ("nothing".into(), Ok(())),
                };
                self.contents(&path, model, a, volume, b)
            }
        };
        assert_eq!(
            a.is_ok(),
            b.is_ok() || (a.is_ok() && is_host_failure(&b)),
            "{what}: model {a:?}, volume {b:?}"
        );
        if a.is_err() && !is_host_failure(&b) {
            assert_eq!(a, b, "{what}");
        }
        (what, b)
    }

    fn contents(
        &mut self,
        path: &str,
        model: &dyn FileSystem,
        a: Ino,
        volume: &dyn FileSystem,
        b: Ino,
    ) -> (String, (twine_vfs::Result<()>, twine_vfs::Result<()>)) {
        // Small files, block borders and far writes all occur.
        let offset = match self.random.below(4) {
            0 => 0,
            1 => self.random.below(4000),
            2 => self.random.below(20) * 4096,
            _ => self.random.below(self.reach),
        };
        match self.random.below(12) {
            0..5 => {
                let n = [10, 100, 3000, 4096, 9000, 70_000][self.random.below(6) as usize];
                let n = 1 + self.random.below(n) as usize;
                let bytes = self.random.bytes(n);
                (
                    format!("write {path} {offset}+{n}"),
                    (model.write(a, offset, &bytes), volume.write(b, offset, &bytes)),
                )
            }
            5 => {
                let n = 1 + self.random.below(5000) as usize;
                let bytes = self.random.bytes(n);
                let done = (model.append(a, &bytes), volume.append(b, &bytes));
                if let (Ok(x), Ok(y)) = &done {
                    assert_eq!(x, y);
                }
                (format!("append {path} {n}"), (done.0.map(|_| ()), done.1.map(|_| ())))
            }
            6 | 7 => {
                (format!("set_size {path} {offset}"), (model.set_size(a, offset), volume.set_size(b, offset)))
            }
            8 => {
                let times = Times { accessed: SetTime::At(offset), modified: SetTime::Now };
                (format!("set_times {path}"), (model.set_times(a, times), volume.set_times(b, times)))
            }
            9 => {
                let done = (model.open(a), volume.open(b));
                if done == (Ok(()), Ok(())) {
                    self.open.push((a, b));
                }
                (format!("open {path}"), done)
            }
            10 => {
                if !self.open.is_empty() {
                    let i = self.random.below(self.open.len() as u64) as usize;
                    let (a, b) = self.open.remove(i);
                    model.close(a);
                    volume.close(b);
                }
                ("close".into(), (Ok(()), Ok(())))
            }
            _ => {
                let n = self.random.below(20_000) as usize;
                let (mut x, mut y) = (vec![1; n], vec![2; n]);
                let done = (model.read(a, offset, &mut x), volume.read(b, offset, &mut y));
                if let (Ok(p), Ok(q)) = &done {
                    assert_eq!(p, q, "read of {path}");
                    assert!(x[..*p] == y[..*q], "read of {path} at {offset}: contents differ");
                }
                (format!("read {path} {offset}+{n}"), (done.0.map(|_| ()), done.1.map(|_| ())))
            }
        }
    }
}

/// An answer that only a failing store explains.
pub(super) fn is_host_failure(result: &twine_vfs::Result<()>) -> bool {
    matches!(result, Err(twine_vfs::Error::Io | twine_vfs::Error::ReadOnly | twine_vfs::Error::NoSpace))
}

/// Every directory's path and names.
fn walk(fs: &dyn FileSystem) -> Vec<(String, Vec<String>)> {
    let mut out = Vec::new();
    let mut todo = vec![(String::new(), fs.root())];
    while let Some((path, ino)) = todo.pop() {
        let mut names = Vec::new();
        fs.readdir(ino, 0, &mut |entry| {
            names.push(entry.name.to_owned());
            if entry.file_type == FileType::Directory {
                todo.push((format!("{path}/{}", entry.name), entry.ino));
            }
            true
        })
        .expect("a model lists");
        names.sort();
        out.push((path, names));
    }
    out.sort();
    out
}

/// The inode of a path.
pub(super) fn resolve(fs: &dyn FileSystem, path: &str) -> Option<Ino> {
    path.split('/')
        .filter(|n| !n.is_empty())
        .try_fold(fs.root(), |dir, name| Some(fs.lookup(dir, name).ok()?.0))
}
