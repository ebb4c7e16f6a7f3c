//! Copying a tree from one file system into another: export, import, full re-encryption, upgrade, salvage.

use std::collections::HashMap;

use twine_vfs::{Error, FileSystem, FileType, Ino, SetTime, Times};

/// Bytes copied at once; whole pieces of zeros become holes.
const PIECE: usize = 256 * 1024;

/// What was copied and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Files, directories and links.
    pub inodes: u64,
    /// Bytes of contents.
    pub bytes: u64,
    /// Paths that could not be copied, or only in part, and why.
    pub lost: Vec<(String, Error)>,
}

/// Copies everything below the root of `from` into the root of `to`: contents, holes, hard links, symbolic links and times.
///
/// `progress` is told each path before it is copied. With `salvage`, what does not read is left out and reported; a file
/// keeps its length, with zeros in place of what is lost.
///
/// # Errors
/// The first error of `from` unless `salvage`; any error of `to`.
pub fn copy_tree(
    from: &dyn FileSystem,
    to: &dyn FileSystem,
    salvage: bool,
    progress: &mut dyn FnMut(&str),
) -> Result<CopyReport, Error> {
    let mut copy =
        Copy { from, to, salvage, report: CopyReport::default(), copied: HashMap::new(), times: Vec::new() };
    let mut todo = vec![(from.root(), to.root(), String::new())];
    while let Some((source, target, path)) = todo.pop() {
        copy.directory(source, target, &path, &mut todo, progress)?;
    }
    // Last, as filling a directory changes its times.
    while let Some((source, target)) = copy.times.pop() {
        copy.times_of(source, target)?;
    }
    Ok(copy.report)
}

struct Copy<'a> {
    from: &'a dyn FileSystem,
    to: &'a dyn FileSystem,
    salvage: bool,
    report: CopyReport,
    /// What a file with several names became.
    copied: HashMap<Ino, Ino>,
    /// Of directories.
    times: Vec<(Ino, Ino)>,
}

impl Copy<'_> {
    /// Takes note of a source that does not read, or gives up.
    fn lost(&mut self, path: &str, error: Error) -> Result<(), Error> {
        self.report.lost.push((path.to_owned(), error));
        if self.salvage { Ok(()) } else { Err(error) }
    }

    fn directory(
        &mut self,
        source: Ino,
        target: Ino,
        path: &str,
        todo: &mut Vec<(Ino, Ino, String)>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        self.report.inodes += 1;
        self.times.push((source, target));
        let mut entries = Vec::new();
        let listed = self.from.readdir(source, 0, &mut |entry| {
            entries.push((entry.name.to_owned(), entry.ino, entry.file_type));
            true
        });
        if let Err(error) = listed {
            self.lost(path, error)?;
        }
        for (name, ino, file_type) in entries {
            let path = format!("{path}/{name}");
            progress(&path);
            if let Some(copied) = self.copied.get(&ino) {
                self.to.link(*copied, target, &name)?;
                continue;
            }
            let new = match file_type {
                FileType::Directory => {
                    let new = self.to.mkdir(target, &name)?;
                    todo.push((ino, new, path));
                    continue;
                }
                FileType::Symlink => match self.from.readlink(ino) {
                    Ok(link) => self.to.symlink(target, &name, &link)?,
                    Err(error) => {
                        self.lost(&path, error)?;
                        continue;
                    }
                },
                FileType::File => {
                    let new = self.to.create(target, &name)?;
                    self.contents(ino, new, &path)?;
                    new
                }
            };
            self.report.inodes += 1;
            if self.from.stat(ino).is_ok_and(|stat| stat.links > 1) {
                self.copied.insert(ino, new);
            }
            self.times_of(ino, new)?;
        }
        Ok(())
    }

    fn contents(&mut self, source: Ino, target: Ino, path: &str) -> Result<(), Error> {
        let size = match self.from.stat(source) {
            Ok(stat) => stat.size,
            Err(error) => return self.lost(path, error),
        };
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        while offset < size {
            let n = usize::try_from(size - offset).unwrap_or(PIECE).min(PIECE);
            let read = &mut piece[..n];
            match self.from.read(source, offset, read) {
                Ok(got) if got == n => self.piece(target, offset, read)?,
                Ok(_) => self.lost(path, Error::Io)?,
                Err(error) => {
                    self.lost(path, error)?;
                    self.blocks(source, target, offset, n)?;
                }
            }
            offset += n as u64;
        }
        self.to.set_size(target, size)
    }

    /// What of a piece reads, block by block.
    fn blocks(&mut self, source: Ino, target: Ino, offset: u64, n: usize) -> Result<(), Error> {
        let mut block = [0; 4096];
        for at in (0..n).step_by(block.len()) {
            let part = &mut block[..(n - at).min(4096)];
            if self.from.read(source, offset + at as u64, part).is_ok() {
                self.piece(target, offset + at as u64, part)?;
            }
        }
        Ok(())
    }

    fn piece(&mut self, target: Ino, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.report.bytes += bytes.len() as u64;
        if bytes.iter().all(|b| *b == 0) { Ok(()) } else { self.to.write(target, offset, bytes) }
    }

    fn times_of(&mut self, source: Ino, target: Ino) -> Result<(), Error> {
        match self.from.stat(source) {
            Ok(stat) => {
                let (accessed, modified) = (SetTime::At(stat.accessed), SetTime::At(stat.modified));
                self.to.set_times(target, Times { accessed, modified })
            }
            Err(error) => self.lost("", error),
        }
    }
}
