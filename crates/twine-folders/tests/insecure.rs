//! Insecure folders against hosts that answer what cannot be.

mod common;

use common::*;
use twine_abi::calls::Call;
use twine_abi::calls::NodeKind;
use twine_abi::folder::Entry;
use twine_abi::wire::{MAX_PAYLOAD, Status};
use twine_folders::HostFolder;
use twine_vfs::{Error, FileSystem, Ino};

/// A host with a directory (1), a file `f` (2) and a link `l` (3), which a test overrides call by call.
fn host(mut over: impl FnMut(Call, &[u64], &[u8]) -> Option<Answer> + Send + 'static) -> HostFolder<Host> {
    let host = Host::new(move |call, words, data| {
        if let Some(answer) = over(call, words, data) {
            return answer;
        }
        match call {
            Call::FolderOpen => node(1, DIRECTORY, 1),
            Call::FolderLookup => match data {
                b"f" => node(2, FILE, 2),
                b"l" => node(3, SYMLINK, 3),
                _ => Err(Status::NotFound),
            },
            Call::FolderStat => Ok((vec![FILE, 1, words[0], 5, 1, 0, 0, 0], vec![])),
            Call::FolderRead if words[0] == 2 => Ok((vec![], b"abcde"[words[1].min(5) as usize..].to_vec())),
            Call::FolderRead => Ok((vec![], b"f".to_vec())),
            Call::FolderWrite => Ok((vec![words[1].wrapping_add(data.len() as u64)], vec![])),
            Call::FolderName => node(9, FILE, 9),
            _ => Ok((vec![], vec![])),
        }
    });
    HostFolder::open(host, "/", false).unwrap()
}

/// A host that gives this answer to one call.
fn lying(about: Call, answer: Answer) -> HostFolder<Host> {
    host(move |call, _, _| (call == about).then(|| answer.clone()))
}

fn file(folder: &HostFolder<Host>) -> Ino {
    folder.lookup(folder.root(), "f").unwrap().0
}

#[test]
fn an_honest_host_is_believed() {
    let folder = host(|_, _, _| None);
    let f = file(&folder);
    assert_eq!(folder.stat(f).unwrap().size, 5);
    let mut buf = [0; 9];
    assert_eq!(folder.read(f, 1, &mut buf), Ok(4));
    assert_eq!(&buf[..4], b"bcde");
    assert_eq!(folder.write(f, 3, b"xy"), Ok(()));
    let (l, _) = folder.lookup(folder.root(), "l").unwrap();
    assert_eq!(folder.readlink(l), Ok("f".to_owned()));
}

#[test]
fn kinds_that_do_not_exist_or_do_not_fit_are_refused() {
    for kind in [0, 4, u64::MAX] {
        let folder = lying(Call::FolderLookup, node(5, kind, 5));
        assert_eq!(folder.lookup(folder.root(), "f"), Err(Error::Io), "{kind}");
    }
    // What was made is what was asked for.
    for kind in [DIRECTORY, SYMLINK, 0] {
        let folder = lying(Call::FolderName, node(5, kind, 5));
        assert_eq!(folder.create(folder.root(), "f"), Err(Error::Io), "{kind}");
    }
    let folder = lying(Call::FolderName, node(5, FILE, 5));
    assert_eq!(folder.mkdir(folder.root(), "d"), Err(Error::Io));
    assert_eq!(folder.symlink(folder.root(), "l", "f"), Err(Error::Io));
    // A node stays what it was.
    let folder = lying(Call::FolderStat, Ok((vec![DIRECTORY, 1, 2, 5, 1, 0, 0, 0], vec![])));
    assert_eq!(folder.stat(file(&folder)), Err(Error::Io));
    let mut times = 0;
    let folder = host(move |call, _, _| {
        times += u64::from(call == Call::FolderLookup);
        (call == Call::FolderLookup && times == 2).then(|| node(7, DIRECTORY, 2))
    });
    let f = file(&folder);
    folder.open(f).unwrap();
    assert_eq!(folder.lookup(folder.root(), "f"), Err(Error::Io), "the same node, now a directory");
}

#[test]
fn another_identity_under_the_same_handle_is_refused() {
    let folder = lying(Call::FolderStat, Ok((vec![FILE, 1, 99, 5, 1, 0, 0, 0], vec![])));
    assert_eq!(folder.stat(file(&folder)), Err(Error::Io));
}

#[test]
fn sizes_and_offsets_beyond_a_signed_one_are_refused() {
    for size in [1 << 63, u64::MAX] {
        let folder = lying(Call::FolderStat, Ok((vec![FILE, 1, 2, size, 1, 0, 0, 0], vec![])));
        assert_eq!(folder.stat(file(&folder)), Err(Error::Io), "{size}");
        let folder = lying(Call::FolderWrite, Ok((vec![size], vec![])));
        assert_eq!(folder.append(file(&folder), b"abc"), Err(Error::Io), "{size}");
    }
}

#[test]
fn a_write_that_ends_elsewhere_is_refused() {
    for end in [0, 2, 4, u64::MAX] {
        let folder = lying(Call::FolderWrite, Ok((vec![end], vec![])));
        assert_eq!(folder.write(file(&folder), 0, b"abc"), Err(Error::Io), "{end}");
    }
    let folder = lying(Call::FolderWrite, Ok((vec![2], vec![])));
    assert_eq!(folder.append(file(&folder), b"abc"), Err(Error::Io));
    // In pieces: the second one cannot end before the first.
    let mut ends = [MAX_PAYLOAD as u64, 10].into_iter();
    let folder =
        host(move |call, _, _| (call == Call::FolderWrite).then(|| Ok((vec![ends.next().unwrap()], vec![]))));
    assert_eq!(folder.append(file(&folder), &vec![0; MAX_PAYLOAD + 5]), Err(Error::Io));
}

#[test]
fn a_link_has_a_possible_target_or_none() {
    for target in [&b""[..], b"a\0b", b"\xff"] {
        let folder = lying(Call::FolderRead, Ok((vec![], target.to_vec())));
        let (l, _) = folder.lookup(folder.root(), "l").unwrap();
        assert_eq!(folder.readlink(l), Err(Error::Io), "{target:?}");
    }
}

#[test]
fn refusals_that_an_operation_cannot_have_are_failures() {
    let impossible = [Status::NotEmpty, Status::Exists, Status::Busy, Status::Invalid, Status::Ok];
    for status in impossible {
        let folder = lying(Call::FolderLookup, Err(status));
        assert_eq!(folder.lookup(folder.root(), "f"), Err(Error::Io), "{status:?}");
        let folder = lying(Call::FolderRead, Err(status));
        assert_eq!(folder.read(file(&folder), 0, &mut [0; 4]), Err(Error::Io), "{status:?}");
        let folder = lying(Call::FolderChange, Err(status));
        assert_eq!(folder.sync(file(&folder), true), Err(Error::Io), "{status:?}");
    }
    let folder = lying(Call::FolderName, Err(Status::NotEmpty));
    assert_eq!(folder.unlink(folder.root(), "f"), Err(Error::Io));
    assert_eq!(folder.rmdir(folder.root(), "f"), Err(Error::NotEmpty));
    assert_eq!(folder.create(folder.root(), "f"), Err(Error::Io));
}

#[test]
fn listings_hold_names_and_come_to_an_end() {
    let list = |bytes: Vec<u8>, end: u64| {
        let folder = lying(Call::FolderList, Ok((vec![end], bytes)));
        let mut names = Vec::new();
        folder
            .readdir(folder.root(), 0, &mut |entry| {
                names.push(entry.name.to_owned());
                names.len() < 10
            })
            .map(|()| names)
    };
    let entry = |cookie, name: &str| {
        let mut bytes = vec![0; 600];
        let kind = NodeKind::File;
        let size = Entry { cookie, inode: 5, kind, name }.write(&mut bytes).unwrap();
        bytes.truncate(size);
        bytes
    };
    assert_eq!(list(entry(1, "a"), 1), Ok(vec!["a".to_owned()]));
    for name in ["", ".", "..", "a/b", "/", "a\0", &"x".repeat(256)] {
        assert_eq!(list(entry(1, name), 1), Err(Error::Io), "{name:?}");
    }
    for cookie in [0, 1 << 63, u64::MAX] {
        assert_eq!(list(entry(cookie, "a"), 1), Err(Error::Io), "{cookie}");
    }
    assert_eq!(list(vec![], 0), Err(Error::Io), "more to come and nothing shown");
    let whole = entry(1, "abc");
    for cut in 1..whole.len() {
        assert_eq!(list(whole[..cut].to_vec(), 1), Err(Error::Io), "cut at {cut}");
    }
    let mut long = whole.clone();
    long[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(list(long, 1), Err(Error::Io));
    let mut kind = whole.clone();
    kind[16] = 7;
    assert_eq!(list(kind, 1), Err(Error::Io));
    let mut text = whole;
    text[32] = 0xff;
    assert_eq!(list(text, 1), Err(Error::Io));
    // A host that repeats itself for ever ends where the program's buffer does.
    assert_eq!(list(entry(1, "a"), 0).unwrap().len(), 10);
}

#[test]
fn names_that_could_lead_elsewhere_never_leave() {
    let folder = host(|call, _, data| {
        if matches!(call, Call::FolderLookup | Call::FolderName) {
            let text = std::str::from_utf8(data).unwrap();
            assert!(!text.contains('/') && !text.starts_with('.'), "{text:?} left");
        }
        None
    });
    let root = folder.root();
    for name in ["..", ".", "a/b", "/etc", "", "a\0"] {
        assert!(folder.lookup(root, name).is_err());
        assert!(folder.create(root, name).is_err());
        assert!(folder.unlink(root, name).is_err());
        assert!(folder.rename(root, "f", root, name).is_err());
        assert!(folder.rename(root, name, root, "f").is_err());
    }
}

/// A host that gives one handle for two files confuses itself, and nothing here.
#[test]
fn handles_are_the_hosts_own_business() {
    let folder = host(|call, _, data| (call == Call::FolderLookup).then(|| node(1, FILE, data[0].into())));
    let root = folder.root();
    let (a, b) = (folder.lookup(root, "a").unwrap().0, folder.lookup(root, "b").unwrap().0);
    assert_ne!(a, b);
    for ino in [a, b, a] {
        folder.open(ino).unwrap_or(());
        folder.close(ino);
    }
    assert!(folder.stat(a).is_err(), "a node that nobody holds is looked up again");
}
