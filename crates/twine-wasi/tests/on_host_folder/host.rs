//! What only a folder of the host has: others who change it, links that lead out of it, special files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use twine_folders::HostFolder;
use twine_wasi::Access;

use crate::backing::Direct;
use crate::guest::*;

fn guest_in(folder: &Path, read_only: bool) -> Guest {
    let fs: Arc<dyn twine_vfs::FileSystem> =
        Arc::new(HostFolder::open(Direct::new(folder, !read_only), "/", read_only).unwrap());
    let access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
    Guest::with(|builder, _| builder.preopen("/", fs.clone(), fs.root(), access))
}

#[test]
fn nothing_outside_the_folder_is_reached() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    let inside = outside.path().join("inside");
    fs::create_dir_all(inside.join("dir")).unwrap();
    symlink("../secret", inside.join("up")).unwrap();
    symlink("dir/../../secret", inside.join("down-and-up")).unwrap();
    symlink(outside.path().join("secret"), inside.join("absolute")).unwrap();
    symlink("..", inside.join("parent")).unwrap();
    symlink("/proc/self/root", inside.join("magic")).unwrap();
    let mut guest = guest_in(&inside, false);
    for path in [
        "../secret",
        "up",
        "down-and-up",
        "absolute",
        "parent/secret",
        "magic/etc/passwd",
        "dir/../../secret",
    ] {
        assert_eq!(guest.open(ROOT, FOLLOW, path, 0, READ, 0), Err(PERM), "{path}");
        assert_eq!(guest.stat(ROOT, FOLLOW, path), Err(PERM), "{path}");
    }
    assert_eq!(guest.link(ROOT, FOLLOW, "up", ROOT, "hard"), Err(PERM));
    // A link is an object of its own.
    assert_eq!(guest.stat(ROOT, 0, "up").unwrap().filetype, 7);
    guest.rename(ROOT, "up", ROOT, "moved").unwrap();
    guest.unlink(ROOT, "moved").unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "s");
}

#[test]
fn special_files_are_not_there_to_open() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    mkfifo(&fifo);
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let mut guest = guest_in(folder.path(), false);
    for name in ["fifo", "socket"] {
        assert_eq!(guest.open(ROOT, 0, name, 0, READ, 0), Err(NOTSUP), "{name}");
    }
    let names: Vec<_> = guest.readdir(ROOT, 4096, 0).unwrap().0.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, [".", ".."]);
}

fn mkfifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_read_only_folder_is_only_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "text").unwrap();
    let mut guest = guest_in(folder.path(), true);
    let fd = guest.open(ROOT, 0, "f", 0, READ, 0).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"text");
    assert_eq!(guest.open(ROOT, 0, "f", 0, READ | WRITE, 0), Err(ROFS));
    assert_eq!(guest.mkdir(ROOT, "d"), Err(ROFS));
    assert_eq!(guest.unlink(ROOT, "f"), Err(ROFS));
    // The host refuses by itself as well: an enclave is not believed either.
    let border = Direct::new(folder.path(), false);
    let lying = HostFolder::open(border, "/", false).unwrap();
    let root = twine_vfs::FileSystem::root(&lying);
    assert_eq!(twine_vfs::FileSystem::create(&lying, root, "g"), Err(twine_vfs::Error::ReadOnly));
    assert_eq!(twine_vfs::FileSystem::unlink(&lying, root, "f"), Err(twine_vfs::Error::ReadOnly));
    let (f, _) = twine_vfs::FileSystem::lookup(&lying, root, "f").unwrap();
    assert_eq!(twine_vfs::FileSystem::write(&lying, f, 0, b"x"), Err(twine_vfs::Error::ReadOnly));
    assert_eq!(twine_vfs::FileSystem::set_size(&lying, f, 0), Err(twine_vfs::Error::ReadOnly));
    assert_eq!(fs::read_to_string(folder.path().join("f")).unwrap(), "text");
}

#[test]
fn what_others_change_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut guest = guest_in(folder.path(), false);
    guest.file("f", b"one");
    assert_eq!(fs::read(path("f")).unwrap(), b"one");
    let open = guest.open(ROOT, 0, "f", 0, READ, 0).unwrap();
    fs::rename(path("f"), path("g")).unwrap();
    fs::write(path("f"), "another").unwrap();
    // The descriptor stays with its file, the name leads to the new one.
    assert_eq!(guest.read(open, 10).unwrap(), b"one");
    let other = guest.open(ROOT, 0, "f", 0, READ, 0).unwrap();
    assert_eq!(guest.read(other, 10).unwrap(), b"another");
    assert_ne!(guest.filestat(open).unwrap().ino, guest.filestat(other).unwrap().ino);
    fs::remove_file(path("g")).unwrap();
    assert_eq!(guest.pread(open, 10, 0).unwrap(), b"one");
    assert_eq!(guest.filestat(open).unwrap().nlink, 0);
}

#[test]
fn more_levels_than_handles_are_kept_can_be_walked() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = guest_in(folder.path(), false);
    let mut dir = ROOT;
    let mut opened = Vec::new();
    for _ in 0..400 {
        guest.mkdir(dir, "d").unwrap();
        dir = guest.open(dir, 0, "d", DIRECTORY, READ, 0).unwrap();
        opened.push(dir);
    }
    opened.into_iter().for_each(|fd| guest.close(fd).unwrap());
    let deep = "d/".repeat(400);
    guest.file(&format!("{deep}f"), b"x");
    assert_eq!(guest.stat(ROOT, 0, &format!("{deep}f")).unwrap().size, 1);
}

#[test]
fn permissions_of_the_host_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "text").unwrap();
    fs::set_permissions(folder.path().join("f"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(folder.path().join("f")).is_ok() {
        return; // Permissions do not bind root.
    }
    let mut guest = guest_in(folder.path(), false);
    assert_eq!(guest.open(ROOT, 0, "f", 0, READ, 0), Err(PERM));
}
