//! Path resolution, wholly inside the enclave and wholly below one directory.
//!
//! The walk keeps the directories it came through, so that `..` needs no parent pointers and can never climb above the
//! base: neither a path nor a symbolic link leaves it ([`Errno::PERM`], as Wasmtime answers).

use std::borrow::Cow;

use twine_vfs::{Error, FileSystem, FileType, Ino, NAME_MAX};

use crate::errno::Errno;

/// Longest path in bytes (PATH_MAX on Linux, its NUL not counted).
pub(crate) const PATH_MAX: usize = 4095;
/// Most symbolic links on one walk (MAXSYMLINKS on Linux).
pub(crate) const LINKS_MAX: u32 = 40;

/// What to do when the last component is a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// It is the object, even before a trailing slash: the calls that create, remove and rename names.
    Never,
    /// It is the object unless a trailing slash asks for a directory: lstat(2) and O_NOFOLLOW.
    OnSlash,
    /// It stands for its target.
    Always,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resolved<'p> {
    pub(crate) last: Last<'p>,
    /// What is there now.
    pub(crate) found: Option<(Ino, FileType)>,
    /// The path ends with a slash: only a directory will do.
    pub(crate) slash: bool,
}

/// The last component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Last<'p> {
    /// A name, which may or may not exist, in an existing directory.
    Name { dir: Ino, name: Cow<'p, str> },
    /// `.`: a directory, but no name of it.
    Dot,
    /// `..`, likewise.
    DotDot,
}

impl Resolved<'_> {
    /// The inode, which must exist, and be a directory if a slash asks for one.
    pub(crate) fn existing(&self) -> Result<(Ino, FileType), Errno> {
        let (ino, file_type) = self.found.ok_or(Errno::NOENT)?;
        if self.slash && file_type != FileType::Directory { Err(Errno::NOTDIR) } else { Ok((ino, file_type)) }
    }
}

/// Walks `path` from `base`.
pub(crate) fn resolve<'p>(
    fs: &dyn FileSystem,
    base: Ino,
    path: &'p str,
    follow: Follow,
) -> Result<Resolved<'p>, Errno> {
    let mut rest: Cow<'p, str> = Cow::Borrowed(path);
    check(&rest)?;
    let mut above: Vec<Ino> = Vec::new();
    let mut here = base;
    let mut links = 0;
    loop {
        let (component, after) = split_first(&rest);
        let last = after.is_empty();
        let slash = last && rest.ends_with('/');
        match component {
            "." | "" => {
                if last {
                    return Ok(Resolved { last: Last::Dot, found: Some((here, FileType::Directory)), slash });
                }
            }
            ".." => {
                here = above.pop().ok_or(Errno::PERM)?;
                if last {
                    return Ok(Resolved {
                        last: Last::DotDot,
                        found: Some((here, FileType::Directory)),
                        slash,
                    });
                }
            }
            name if name.len() > NAME_MAX => return Err(Errno::NAMETOOLONG),
            name => match fs.lookup(here, name) {
                Ok((link, FileType::Symlink))
                    if !last || follow == Follow::Always || (slash && follow == Follow::OnSlash) =>
                {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP);
                    }
                    let mut target = fs.readlink(link)?;
                    check(&target)?;
                    if !last || slash {
                        target.push('/');
                    }
                    target.push_str(after);
                    rest = Cow::Owned(target);
                    continue;
                }
                Err(error) if error != Error::NotFound || !last => return Err(error.into()),
                found if last => {
                    let name = match &rest {
                        Cow::Borrowed(path) => Cow::Borrowed(split_first(path).0),
                        Cow::Owned(_) => Cow::Owned(name.to_owned()),
                    };
                    return Ok(Resolved { last: Last::Name { dir: here, name }, found: found.ok(), slash });
                }
                Ok((next, FileType::Directory)) => {
                    above.push(here);
                    here = next;
                }
                _ => return Err(Errno::NOTDIR),
            },
        }
        let done = rest.len() - after.len();
        rest = match rest {
            Cow::Borrowed(path) => Cow::Borrowed(&path[done..]),
            Cow::Owned(mut path) => {
                path.drain(..done);
                Cow::Owned(path)
            }
        };
    }
}

/// The first component and what comes after it and its slashes.
fn split_first(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    match path.split_once('/') {
        Some((first, after)) => (first, after.trim_start_matches('/')),
        None => (path, ""),
    }
}

/// What a path or a link's target must be before it is walked.
fn check(path: &str) -> Result<(), Errno> {
    match path {
        "" => Err(Errno::NOENT),
        path if path.len() > PATH_MAX => Err(Errno::NAMETOOLONG),
        path if path.starts_with('/') => Err(Errno::PERM),
        _ => Ok(()),
    }
}
