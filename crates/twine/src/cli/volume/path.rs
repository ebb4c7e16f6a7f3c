//! Places in a volume: `FILE::PATH`, as in `twine run --dir`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use twine_vfs::{Error, FileSystem, FileType, Ino, Result};

/// Most symbolic links on one way, as Linux has it.
const LINKS: u32 = 40;

/// A file or folder in a volume; without `::`, its root.
#[derive(Clone, Debug)]
pub struct Place {
    /// The volume's file on this machine.
    pub volume: PathBuf,
    /// The path inside, as it was written.
    pub path: String,
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> core::result::Result<Self, Infallible> {
        let (volume, path) = text.split_once("::").unwrap_or((text, "/"));
        Ok(Self { volume: volume.into(), path: path.to_owned() })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.volume.display(), self.path)
    }
}

/// The inode of a path below `dir`; with `follow`, of what a link at its end points to. A link that begins with `/` starts at the
/// volume's root, `..` ends there.
pub fn resolve(files: &dyn FileSystem, path: &str, follow: bool) -> Result<(Ino, FileType)> {
    let root = (files.root(), FileType::Directory);
    let mut way = vec![root];
    let mut rest: Vec<String> = components(path).rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(name) = rest.pop() {
        let &(at, file_type) = way.last().unwrap_or(&root);
        if file_type != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        if name == ".." {
            if way.len() > 1 {
                way.pop();
            }
            continue;
        }
        let found = files.lookup(at, &name)?;
        if found.1 != FileType::Symlink || (rest.is_empty() && !follow) {
            way.push(found);
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(Error::Invalid);
        }
        let target = files.readlink(found.0)?;
        if target.starts_with('/') {
            way.truncate(1);
        }
        rest.extend(components(&target).rev().map(str::to_owned));
    }
    Ok(*way.last().unwrap_or(&root))
}

/// The folder of a path, and the name in it; none for a root.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (!matches!(name, "" | "." | "..")).then_some((folder, name))
}

fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_vfs::{MemFs, MemLimits};

    #[test]
    fn paths_follow_links_and_never_leave_the_volume() {
        let files = MemFs::new(MemLimits { bytes: 1 << 20, inodes: 100 }, || 0);
        let root = files.root();
        let dir = files.mkdir(root, "dir").unwrap();
        let file = files.create(dir, "file").unwrap();
        for (name, target) in
            [("up", "../../../dir"), ("abs", "/dir/file"), ("loop", "loop"), ("to-file", "file")]
        {
            files.symlink(dir, name, target).unwrap();
        }
        let at = |path: &str| resolve(&files, path, true).map(|(ino, _)| ino);
        assert_eq!(at(""), Ok(root));
        assert_eq!(at("/"), Ok(root));
        assert_eq!(at("../.."), Ok(root));
        assert_eq!(at("//dir/./file"), Ok(file));
        assert_eq!(at("dir/up/file"), Ok(file));
        assert_eq!(at("dir/abs"), Ok(file));
        assert_eq!(at("dir/to-file"), Ok(file));
        assert_eq!(at("dir/loop"), Err(Error::Invalid));
        assert_eq!(at("dir/file/x"), Err(Error::NotDirectory));
        assert_eq!(at("none"), Err(Error::NotFound));
        assert_eq!(resolve(&files, "dir/abs", false).unwrap().1, FileType::Symlink);
        assert_eq!(split("/a/b/"), Some(("/a", "b")));
        assert_eq!(split("a"), Some(("", "a")));
        assert_eq!(split("/"), None);
        assert_eq!(split("a/.."), None);
    }
}
