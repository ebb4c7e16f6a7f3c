//! The in-memory file system: each promise of the trait, and random histories against plain byte vectors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use twine_vfs::{
    Error, FileSystem, FileType, Ino, MemFs, MemLimits, NAME_MAX, ReadOnly, SetTime, Times, check_name,
};

fn fs() -> MemFs {
    MemFs::new(MemLimits::default(), || 7)
}

fn names(fs: &dyn FileSystem, dir: Ino) -> Vec<String> {
    let mut names = Vec::new();
    fs.readdir(dir, 0, &mut |entry| {
        names.push(entry.name.to_owned());
        true
    })
    .unwrap();
    names
}

fn contents(fs: &dyn FileSystem, ino: Ino) -> Vec<u8> {
    let mut bytes = vec![0xaa; fs.stat(ino).unwrap().size as usize + 10];
    let len = fs.read(ino, 0, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn names_are_checked() {
    let fs = fs();
    for bad in ["", ".", "..", "a/b", "/", "a\0"] {
        assert_eq!(check_name(bad), Err(Error::Invalid));
        assert_eq!(fs.create(fs.root(), bad), Err(Error::Invalid));
        assert_eq!(fs.mkdir(fs.root(), bad), Err(Error::Invalid));
        assert_eq!(fs.symlink(fs.root(), bad, "x"), Err(Error::Invalid));
    }
    let (longest, longer) = ("n".repeat(NAME_MAX), "n".repeat(NAME_MAX + 1));
    let file = fs.create(fs.root(), &longest).unwrap();
    assert_eq!(fs.link(file, fs.root(), &longer), Err(Error::NameTooLong));
    assert_eq!(fs.rename(fs.root(), &longest, fs.root(), &longer), Err(Error::NameTooLong));
    assert_eq!(fs.rename(fs.root(), &longest, fs.root(), ".."), Err(Error::Invalid));
}

#[test]
fn kinds_are_checked() {
    let fs = fs();
    let root = fs.root();
    let (file, dir, link) =
        (fs.create(root, "f").unwrap(), fs.mkdir(root, "d").unwrap(), fs.symlink(root, "l", "f").unwrap());
    assert_eq!(fs.lookup(root, "l"), Ok((link, FileType::Symlink)));
    assert_eq!(fs.lookup(file, "x"), Err(Error::NotDirectory));
    assert_eq!(fs.create(file, "x"), Err(Error::NotDirectory));
    assert_eq!(fs.read(dir, 0, &mut [0]), Err(Error::IsDirectory));
    assert_eq!(fs.write(dir, 0, b""), Err(Error::IsDirectory));
    assert_eq!(fs.append(dir, b""), Err(Error::IsDirectory));
    assert_eq!(fs.set_size(dir, 0), Err(Error::IsDirectory));
    assert_eq!(fs.read(link, 0, &mut [0]), Err(Error::Invalid));
    assert_eq!(fs.readlink(link).unwrap(), "f");
    assert_eq!(fs.readlink(file), Err(Error::Invalid));
    assert_eq!(fs.link(dir, root, "x"), Err(Error::NotPermitted));
    assert_eq!(fs.unlink(root, "d"), Err(Error::IsDirectory));
    assert_eq!(fs.rmdir(root, "f"), Err(Error::NotDirectory));
    assert_eq!(fs.readdir(file, 0, &mut |_| true), Err(Error::NotDirectory));
    assert_eq!(fs.stat(Ino(99)), Err(Error::NotFound));
    assert_eq!(fs.sync(Ino(99), true), Err(Error::NotFound));
}

#[test]
fn renames_keep_the_tree_a_tree() {
    let fs = fs();
    let root = fs.root();
    let a = fs.mkdir(root, "a").unwrap();
    let b = fs.mkdir(a, "b").unwrap();
    assert_eq!(fs.rename(root, "a", b, "x"), Err(Error::Invalid));
    assert_eq!(fs.rename(root, "a", a, "x"), Err(Error::Invalid));
    assert_eq!(fs.rename(a, "b", root, "a"), Err(Error::NotEmpty));
    fs.rename(a, "b", root, "b").unwrap();
    fs.rename(root, "a", b, "a").unwrap();
    assert_eq!(fs.rename(root, "b", a, "x"), Err(Error::Invalid), "the parent moved along");
    assert_eq!(names(&fs, root), ["b"]);
    assert_eq!(names(&fs, b), ["a"]);
}

#[test]
fn a_removed_directory_takes_nothing() {
    let fs = fs();
    let root = fs.root();
    let dir = fs.mkdir(root, "d").unwrap();
    let file = fs.create(root, "f").unwrap();
    fs.open(dir).unwrap();
    fs.rmdir(root, "d").unwrap();
    assert_eq!(fs.create(dir, "x"), Err(Error::NotFound));
    assert_eq!(fs.link(file, dir, "x"), Err(Error::NotFound));
    assert_eq!(fs.rename(root, "f", dir, "x"), Err(Error::NotFound));
    assert_eq!(fs.stat(dir).unwrap().links, 0);
    fs.close(dir);
    assert_eq!(fs.stat(dir), Err(Error::NotFound));
}

#[test]
fn the_last_of_names_and_opens_frees() {
    let fs = fs();
    let root = fs.root();
    let file = fs.create(root, "f").unwrap();
    fs.write(file, 0, &[1; 5000]).unwrap();
    fs.link(file, root, "g").unwrap();
    fs.open(file).unwrap();
    fs.open(file).unwrap();
    fs.unlink(root, "f").unwrap();
    fs.rename(root, "g", root, "h").unwrap();
    fs.create(root, "other").unwrap();
    fs.rename(root, "other", root, "h").unwrap();
    assert_eq!(fs.stat(file).unwrap().links, 0);
    assert_eq!(fs.link(file, root, "back"), Err(Error::NotFound), "no way back to a name");
    fs.close(file);
    assert_eq!(contents(&fs, file), [1; 5000]);
    fs.close(file);
    assert_eq!(fs.stat(file), Err(Error::NotFound));
    fs.close(file);
    assert_eq!((fs.inodes_used(), fs.bytes_used()), (2, 1));
}

#[test]
fn limits_hold_and_what_is_freed_is_free() {
    let limits = MemLimits { bytes: 3 * MemFs::CHUNK as u64, inodes: 3 };
    let fs = MemFs::new(limits, || 0);
    let root = fs.root();
    let file = fs.create(root, "f").unwrap();
    assert_eq!(fs.write(file, 0, &[1; 3 * MemFs::CHUNK]), Err(Error::NoSpace), "the name counts too");
    assert_eq!(fs.stat(file).unwrap().size, 0);
    assert_eq!(fs.bytes_used(), 1);
    fs.write(file, 1 << 40, &[1; 2 * MemFs::CHUNK]).unwrap();
    assert_eq!(fs.append(file, b"x"), Err(Error::NoSpace));
    assert_eq!(fs.allocate(file, 0, 1), Err(Error::NoSpace));
    assert_eq!(fs.symlink(root, "l", &"x".repeat(MemFs::CHUNK)), Err(Error::NoSpace));
    fs.set_size(file, 1).unwrap();
    assert_eq!(fs.bytes_used(), 1);
    fs.create(root, "g").unwrap();
    assert_eq!(fs.create(root, "h"), Err(Error::NoSpace), "three inodes");
    fs.unlink(root, "g").unwrap();
    fs.create(root, "h").unwrap();
    assert_eq!(fs.allocate(file, u64::MAX, 1), Err(Error::TooLarge));
    assert_eq!(fs.write(file, MemFs::MAX_SIZE, b"x"), Err(Error::TooLarge));
    assert_eq!(fs.set_size(file, MemFs::MAX_SIZE + 1), Err(Error::TooLarge));
    fs.set_size(file, MemFs::MAX_SIZE).unwrap();
    assert_eq!(fs.append(file, b"x"), Err(Error::TooLarge));
}

#[test]
fn what_is_allocated_cannot_run_out_later() {
    let fs = MemFs::new(MemLimits { bytes: 2 * MemFs::CHUNK as u64 + 10, inodes: 9 }, || 0);
    let (one, two) = (fs.create(fs.root(), "1").unwrap(), fs.create(fs.root(), "2").unwrap());
    fs.allocate(one, 100, MemFs::CHUNK as u64).unwrap();
    assert_eq!(fs.stat(one).unwrap().size, 100 + MemFs::CHUNK as u64);
    assert_eq!(fs.write(two, 0, b"x"), Err(Error::NoSpace));
    fs.write(one, 100, &[1; MemFs::CHUNK]).unwrap();
}

#[test]
fn cookies_last_while_others_come_and_go() {
    let fs = fs();
    let root = fs.root();
    for index in 0..10 {
        fs.create(root, &format!("f{index}")).unwrap();
    }
    let mut cookies = Vec::new();
    fs.readdir(root, 0, &mut |entry| {
        cookies.push(entry.cookie);
        cookies.len() < 5
    })
    .unwrap();
    assert_eq!(cookies.len(), 5, "stops when told");
    for gone in ["f0", "f4", "f5"] {
        fs.unlink(root, gone).unwrap();
    }
    fs.create(root, "f0").unwrap();
    let mut rest = Vec::new();
    fs.readdir(root, cookies[4], &mut |entry| {
        assert!(entry.cookie < 1 << 63);
        rest.push(entry.name.to_owned());
        true
    })
    .unwrap();
    assert_eq!(rest, ["f6", "f7", "f8", "f9", "f0"]);
}

#[test]
fn times_come_from_the_clock() {
    let time = Arc::new(AtomicU64::new(1));
    let clock = time.clone();
    let fs = MemFs::new(MemLimits::default(), move || clock.load(Ordering::Relaxed));
    let file = fs.create(fs.root(), "f").unwrap();
    let times = |ino| fs.stat(ino).map(|stat| (stat.accessed, stat.modified, stat.changed)).unwrap();
    time.store(2, Ordering::Relaxed);
    fs.write(file, 0, b"x").unwrap();
    assert_eq!(times(file), (1, 2, 2));
    time.store(3, Ordering::Relaxed);
    fs.read(file, 0, &mut [0]).unwrap();
    fs.write(file, 0, b"").unwrap();
    assert_eq!(times(file), (1, 2, 2));
    fs.set_times(file, Times { accessed: SetTime::At(9), modified: SetTime::Keep }).unwrap();
    assert_eq!(times(file), (9, 2, 3));
    fs.set_times(file, Times { accessed: SetTime::Keep, modified: SetTime::Now }).unwrap();
    assert_eq!(times(file), (9, 3, 3));
    time.store(4, Ordering::Relaxed);
    fs.unlink(fs.root(), "f").unwrap();
    assert_eq!(times(fs.root()), (1, 4, 4));
}

#[test]
fn the_read_only_view_passes_reads_and_refuses_changes() {
    let below = Arc::new(fs());
    let root = below.root();
    let file = below.create(root, "f").unwrap();
    below.write(file, 0, b"bytes").unwrap();
    below.symlink(root, "l", "f").unwrap();
    let view = ReadOnly::new(below.clone());
    assert!(view.read_only() && !below.read_only());
    assert_eq!(contents(&view, file), b"bytes");
    assert_eq!(names(&view, root), ["f", "l"]);
    assert_eq!(view.readlink(view.lookup(root, "l").unwrap().0).unwrap(), "f");
    view.open(file).unwrap();
    view.close(file);
    view.sync(file, false).unwrap();
    let times = Times { accessed: SetTime::Now, modified: SetTime::Now };
    let refused = [
        view.set_times(file, times),
        view.set_size(file, 0),
        view.allocate(file, 0, 9),
        view.write(file, 0, b"x"),
        view.append(file, b"x").map(drop),
        view.create(root, "x").map(drop),
        view.mkdir(root, "x").map(drop),
        view.symlink(root, "x", "y").map(drop),
        view.link(file, root, "x"),
        view.unlink(root, "f"),
        view.rmdir(root, "f"),
        view.rename(root, "f", root, "x"),
    ];
    assert!(refused.iter().all(|result| *result == Err(Error::ReadOnly)));
    assert_eq!(
        (names(&*below, root), contents(&*below, file)),
        (vec!["f".into(), "l".into()], b"bytes".to_vec())
    );
}

/// Random reads, writes, appends, truncations and allocations on a few files, against byte vectors.
#[test]
fn contents_agree_with_byte_vectors() {
    let seed = std::env::var("TWINE_TEST_SEED").ok().map_or_else(
        || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64,
        |seed| seed.parse().unwrap(),
    );
    println!("TWINE_TEST_SEED={seed}");
    let mut state = seed | 1;
    let mut below = move |end: u64| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    };
    let fs = fs();
    let mut models: Vec<(Ino, Vec<u8>)> =
        (0..3).map(|index| (fs.create(fs.root(), &format!("f{index}")).unwrap(), Vec::new())).collect();
    for step in 0..20_000 {
        let (ino, model) = &mut models[below(3) as usize];
        // Around the borders of chunks, where mistakes would be.
        let offset = (below(6) * MemFs::CHUNK as u64 + below(5)).saturating_sub(below(5));
        let len = if below(2) == 0 { below(9) } else { below(9000) } as usize;
        let bytes: Vec<u8> = (0..len).map(|_| below(255) as u8 + 1).collect();
        let end = offset as usize + len;
        match below(6) {
            0 | 1 => {
                fs.write(*ino, offset, &bytes).unwrap();
                if len > 0 {
                    model.resize(model.len().max(end), 0);
                    model[offset as usize..end].copy_from_slice(&bytes);
                }
            }
            2 if model.len() < 40_000 => {
                model.extend_from_slice(&bytes);
                assert_eq!(fs.append(*ino, &bytes), Ok(model.len() as u64));
            }
            3 => {
                fs.set_size(*ino, offset).unwrap();
                model.resize(offset as usize, 0);
            }
            4 => {
                fs.allocate(*ino, offset, len as u64).unwrap();
                model.resize(model.len().max(end), 0);
            }
            _ => {
                let mut found = vec![0xaa; len];
                let count = fs.read(*ino, offset, &mut found).unwrap();
                let from = model.len().min(offset as usize);
                let to = model.len().min(end);
                assert_eq!(found[..count], model[from..to], "step {step}");
            }
        }
        assert_eq!(fs.stat(*ino).unwrap().size, model.len() as u64, "step {step}");
    }
    for (ino, model) in &models {
        assert_eq!(contents(&fs, *ino), *model);
        fs.set_size(*ino, 0).unwrap();
    }
    assert_eq!(fs.bytes_used(), 6, "three names and nothing else");
}
