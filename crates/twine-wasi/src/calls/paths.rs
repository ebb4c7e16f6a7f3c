//! Names: opening, linking, renaming, removing.

use std::borrow::Cow;

use twine_vfs::{FileSystem, FileType, Ino};

use super::attributes::follow;
use super::walk;
use crate::abi::{FdFlags, OFlags, Rights};
use crate::context::WasiCtx;
use crate::descriptor::{Descriptor, Directory, File, Handle};
use crate::end::Outcome;
use crate::errno::Errno;
use crate::memory::GuestMemory;
use crate::resolve::{Follow, Last, PATH_MAX, Resolved, resolve};

pub(crate) fn path_open(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    rights_base: u64,
    rights_inheriting: u64,
    fdflags: u32,
    opened: u32,
) -> Outcome {
    let open = Open {
        follow: follow(dirflags)?,
        oflags: OFlags::parse(oflags)?,
        rights: Rights::parse(rights_base)?,
        fdflags: FdFlags::parse(fdflags)?,
    };
    // What a directory passes on is all that its own descriptor passes on, as in Wasmtime: see docs/wasi.md.
    Rights::parse(rights_inheriting)?;
    let directory = match ctx.table.get(fd)? {
        Descriptor::Directory(directory) => directory.must(Rights::PATH_OPEN)?,
        Descriptor::File(_) => return Err(Errno::NOTDIR.into()),
        Descriptor::Stream(_) => return Err(Errno::BADF.into()),
    };
    ctx.table.must_have_room()?;
    let descriptor = open.at(directory, memory.text(path, path_len)?)?;
    let number = ctx.table.insert(descriptor)?;
    Ok(memory.write_u32(opened, number)?)
}

/// What `path_open` was asked for.
struct Open {
    follow: Follow,
    oflags: OFlags,
    rights: Rights,
    fdflags: FdFlags,
}

impl Open {
    fn at(&self, directory: &Directory, path: &str) -> Outcome<Descriptor> {
        let Handle { fs, ino: base, device } = &directory.handle;
        let (create, exclusive) = (self.oflags.has(OFlags::CREAT), self.oflags.has(OFlags::EXCL));
        let truncate = self.oflags.has(OFlags::TRUNC);
        let only_directory = self.oflags.has(OFlags::DIRECTORY);
        if only_directory && (create || exclusive || truncate) {
            return Err(Errno::INVAL.into());
        }
        if create {
            directory.must(Rights::PATH_CREATE_FILE)?;
        }
        if truncate {
            directory.must(Rights::PATH_FILESTAT_SET_SIZE)?;
        }
        let wanted = self.rights.and(Rights::FD_READ.or(Rights::FD_WRITE));
        if !directory.inheriting.contains(wanted) {
            return Err(Errno::NOTCAPABLE.into());
        }
        let follow = if create && (exclusive || path.ends_with('/')) { Follow::Never } else { self.follow };
        let place = resolve(&**fs, *base, path, follow)?;
        if create && place.slash {
            return Err(Errno::ISDIR.into()); // open(2): what is created here is never a directory.
        }
        let ino = match place.found {
            None if create => match &place.last {
                Last::Name { dir, name } => fs.create(*dir, name)?,
                Last::Dot | Last::DotDot => return Err(Errno::NOENT.into()),
            },
            None => return Err(Errno::NOENT.into()),
            Some(_) if create && exclusive => return Err(Errno::EXIST.into()),
            Some((_, FileType::Symlink)) => return Err(Errno::LOOP.into()),
            Some((_, FileType::File)) if only_directory || place.slash => return Err(Errno::NOTDIR.into()),
            Some((ino, FileType::File)) => {
                if fs.read_only() && self.rights.contains(Rights::FD_WRITE) {
                    return Err(Errno::ROFS.into());
                }
                if truncate {
                    fs.set_size(ino, 0)?;
                }
                ino
            }
            Some((_, FileType::Directory))
                if create || truncate || self.rights.contains(Rights::FD_WRITE) =>
            {
                return Err(Errno::ISDIR.into());
            }
            Some((ino, FileType::Directory)) => {
                return Ok(Descriptor::Directory(Directory {
                    handle: Handle::open(fs.clone(), ino, *device)?,
                    preopen: None,
                    flags: self.fdflags,
                    rights: Rights::DIRECTORY.and(directory.inheriting),
                    inheriting: directory.inheriting,
                }));
            }
        };
        Ok(Descriptor::File(File {
            handle: Handle::open(fs.clone(), ino, *device)?,
            position: 0,
            flags: self.fdflags,
            rights: self.file_rights().and(directory.inheriting),
            inheriting: Rights::NONE,
        }))
    }

    /// Reading and writing as asked for, the rest as the kind allows: programs rarely ask for all that they use.
    fn file_rights(&self) -> Rights {
        let mut asked = self.rights;
        if asked.contains(Rights::FD_WRITE) {
            asked = asked.or(Rights::FD_ALLOCATE).or(Rights::FD_FILESTAT_SET_SIZE);
        }
        Rights::FILE.without(Rights::ON_REQUEST.without(asked))
    }
}

/// A free place for a new name of something that is no directory: a slash after it can never be right. The path was
/// resolved with [`Follow::OnSlash`]: a link before a slash stands for its target, as in Wasmtime.
fn free_place<'p>(place: Resolved<'p>) -> Result<(Ino, Cow<'p, str>), Errno> {
    match (place.last, place.found) {
        (Last::Name { .. }, None) if place.slash => Err(Errno::NOENT),
        (Last::Name { dir, name }, None) => Ok((dir, name)),
        (_, Some((_, FileType::File | FileType::Symlink))) if place.slash => Err(Errno::NOTDIR),
        _ => Err(Errno::EXIST),
    }
}

pub(crate) fn path_link(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    let follow = follow(old_flags)?;
    let (old, source) =
        walk(ctx, memory, old_fd, Rights::PATH_LINK_SOURCE, (old_path, old_path_len), follow)?;
    let to = (new_path, new_path_len);
    let (new, place) = walk(ctx, memory, new_fd, Rights::PATH_LINK_TARGET, to, Follow::OnSlash)?;
    let (ino, file_type) = source.existing()?;
    let (dir, name) = free_place(place)?;
    let fs = same_device(old, new)?;
    if file_type == FileType::Directory {
        return Err(Errno::PERM.into());
    }
    Ok(fs.link(ino, dir, &name)?)
}

fn same_device<'h>(old: &'h Handle, new: &Handle) -> Result<&'h dyn FileSystem, Errno> {
    if old.device == new.device { Ok(&*old.fs) } else { Err(Errno::XDEV) }
}

pub(crate) fn path_rename(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    let (from, to) = ((old_path, old_path_len), (new_path, new_path_len));
    let (old, source) = walk(ctx, memory, fd, Rights::PATH_RENAME_SOURCE, from, Follow::Never)?;
    let (new, target) = walk(ctx, memory, new_fd, Rights::PATH_RENAME_TARGET, to, Follow::Never)?;
    let fs = same_device(old, new)?;
    let (from_slash, to_slash) = (source.slash, target.slash);
    let found = source.found;
    let (Last::Name { dir: from, name: from_name }, Last::Name { dir: to, name: to_name }) =
        (source.last, target.last)
    else {
        return Err(Errno::BUSY.into()); // rename(2) for `.` and `..`.
    };
    let (_, file_type) = found.ok_or(Errno::NOENT)?;
    if (from_slash || to_slash) && file_type != FileType::Directory {
        return Err(Errno::NOTDIR.into());
    }
    Ok(fs.rename(from, &from_name, to, &to_name)?)
}

/// An absolute target is refused, as in Wasmtime: nothing could ever follow it.
pub(crate) fn path_symlink(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    old_path: u32,
    old_path_len: u32,
    fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    let target = memory.text(old_path, old_path_len)?;
    match target {
        "" => return Err(Errno::NOENT.into()),
        target if target.starts_with('/') => return Err(Errno::PERM.into()),
        target if target.len() > PATH_MAX => return Err(Errno::NAMETOOLONG.into()),
        _ => {}
    }
    let path = (new_path, new_path_len);
    let (handle, place) = walk(ctx, memory, fd, Rights::PATH_SYMLINK, path, Follow::OnSlash)?;
    let (dir, name) = free_place(place)?;
    handle.fs.symlink(dir, &name, target)?;
    Ok(())
}

pub(crate) fn path_readlink(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Outcome {
    let (handle, place) = walk(ctx, memory, fd, Rights::PATH_READLINK, (path, path_len), Follow::OnSlash)?;
    let (ino, file_type) = place.existing()?;
    if file_type != FileType::Symlink {
        return Err(Errno::INVAL.into());
    }
    let target = handle.fs.readlink(ino)?;
    // readlink(2) cuts without a word.
    let len = target.len().min(buf_len as usize);
    memory.write_bytes(buf, &target.as_bytes()[..len])?;
    Ok(memory.write_u32(used, len as u32)?)
}

pub(crate) fn path_unlink_file(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let (handle, place) = walk(ctx, memory, fd, Rights::PATH_UNLINK_FILE, (path, path_len), Follow::OnSlash)?;
    match (place.last, place.found) {
        (_, Some((_, FileType::Directory))) => Err(Errno::ISDIR.into()),
        (_, Some(_)) if place.slash => Err(Errno::NOTDIR.into()),
        (Last::Name { dir, name }, Some(_)) => Ok(handle.fs.unlink(dir, &name)?),
        _ => Err(Errno::NOENT.into()),
    }
}
