//! WASI programs as lists of calls with what each must answer, written as WebAssembly text: the same program runs in an
//! enclave and under any other runtime. It ends with 0, or prints the number of the first step that went another way and
//! ends with 1.

#![allow(dead_code, reason = "each test uses its part")]

use std::fmt::Write;

pub const CREAT: u32 = 1;
pub const DIRECTORY: u32 = 2;
pub const EXCL: u32 = 4;
pub const TRUNC: u32 = 8;
pub const APPEND: u32 = 1;
pub const NONBLOCK: u32 = 4;
pub const SYNC: u32 = 16;
pub const FOLLOW: u32 = 1;
pub const SET: u32 = 0;
pub const CUR: u32 = 1;
pub const END: u32 = 2;
pub const READ: u64 = 1 << 1;
pub const SEEK: u64 = 1 << 2;
pub const WRITE: u64 = 1 << 6;
pub const PATH_SET_SIZE: u64 = 1 << 19;
pub const FD_SET_SIZE: u64 = 1 << 22;
/// The first preopened directory.
pub const ROOT: Fd = Fd::Number(3);

/// Error numbers of preview 1.
pub mod errno {
    pub const OK: u32 = 0;
    pub const ACCES: u32 = 2;
    pub const BADF: u32 = 8;
    pub const EXIST: u32 = 20;
    pub const FBIG: u32 = 22;
    pub const ILSEQ: u32 = 25;
    pub const INVAL: u32 = 28;
    pub const IO: u32 = 29;
    pub const ISDIR: u32 = 31;
    pub const LOOP: u32 = 32;
    pub const NAMETOOLONG: u32 = 37;
    pub const NOENT: u32 = 44;
    pub const NOTDIR: u32 = 54;
    pub const NOTEMPTY: u32 = 55;
    pub const NOTSOCK: u32 = 57;
    pub const NOTSUP: u32 = 58;
    pub const PERM: u32 = 63;
    pub const ROFS: u32 = 69;
    pub const SPIPE: u32 = 70;
    pub const XDEV: u32 = 75;
    pub const NOTCAPABLE: u32 = 76;
}

/// A descriptor: a number, or what an earlier step opened.
#[derive(Clone, Copy)]
pub enum Fd {
    Number(u32),
    Opened(usize),
}

/// What a call may answer: one of these, as the public suite has it where systems differ.
pub trait Expected {
    fn all(&self) -> Vec<u32>;
}

impl Expected for u32 {
    fn all(&self) -> Vec<u32> {
        vec![*self]
    }
}

impl<const N: usize> Expected for [u32; N] {
    fn all(&self) -> Vec<u32> {
        self.to_vec()
    }
}

/// A program in the making.
#[derive(Default)]
pub struct Script {
    body: String,
    data: String,
    used: u32,
    opened: usize,
    steps: Vec<String>,
}

/// Where results and buffers are.
const IOVEC: u32 = 0;
const RESULT: u32 = 64;
const RECORD: u32 = 128;
const BUFFER: u32 = 0x4_0000;
const DATA: u32 = 0x1000;
const FUNCTIONS: &[(&str, &str)] = &[
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("fd_close", "i32"),
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("fd_pread", "i32 i32 i32 i64 i32"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_tell", "i32 i32"),
    ("fd_sync", "i32"),
    ("fd_datasync", "i32"),
    ("fd_advise", "i32 i64 i64 i32"),
    ("fd_allocate", "i32 i64 i64"),
    ("fd_renumber", "i32 i32"),
    ("fd_fdstat_get", "i32 i32"),
    ("fd_fdstat_set_flags", "i32 i32"),
    ("fd_fdstat_set_rights", "i32 i64 i64"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_filestat_set_size", "i32 i64"),
    ("fd_filestat_set_times", "i32 i64 i64 i32"),
    ("fd_readdir", "i32 i32 i32 i64 i32"),
    ("fd_prestat_get", "i32 i32"),
    ("fd_prestat_dir_name", "i32 i32 i32"),
    ("path_create_directory", "i32 i32 i32"),
    ("path_remove_directory", "i32 i32 i32"),
    ("path_unlink_file", "i32 i32 i32"),
    ("path_rename", "i32 i32 i32 i32 i32 i32"),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
    ("path_symlink", "i32 i32 i32 i32 i32"),
    ("path_readlink", "i32 i32 i32 i32 i32 i32"),
    ("path_filestat_get", "i32 i32 i32 i32 i32"),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("poll_oneoff", "i32 i32 i32 i32"),
    ("random_get", "i32 i32"),
    ("clock_time_get", "i32 i64 i32"),
    ("clock_res_get", "i32 i32"),
    ("sched_yield", ""),
    ("sock_shutdown", "i32 i32"),
    ("args_sizes_get", "i32 i32"),
    ("environ_sizes_get", "i32 i32"),
];

impl Script {
    pub fn new() -> Self {
        Self { used: DATA, ..Self::default() }
    }

    /// The program.
    pub fn wat(&self) -> String {
        let mut text = "(module\n".to_owned();
        for (name, params) in FUNCTIONS {
            let _ = writeln!(
                text,
                "  (import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {params}) (result i32)))"
            );
        }
        text += "  (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))\n";
        text += "  (memory (export \"memory\") 16)\n";
        text += &self.data;
        text += "  (func $check (param $holds i32) (param $step i32)\n";
        text += "    (if (i32.eqz (local.get $holds)) (then\n";
        for (at, unit) in [(32, 1000), (33, 100), (34, 10), (35, 1)] {
            let _ = writeln!(
                text,
                "      (i32.store8 (i32.const {at}) (i32.add (i32.const 48) (i32.rem_u
        (i32.div_u (local.get $step) (i32.const {unit})) (i32.const 10))))"
            );
        }
        text += "      (i32.store (i32.const 40) (i32.const 32)) (i32.store (i32.const 44) (i32.const 4))\n";
        text += "      (drop (call $fd_write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 48)))\n";
        text += "      (call $exit (i32.const 1)))))\n";
        text += "  (func $same (param $a i32) (param $b i32) (param $len i32) (result i32)\n";
        text += "    (block $end (loop $next (br_if $end (i32.eqz (local.get $len)))\n";
        text += "      (if (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))) (then (return (i32.const 0))))\n";
        text += "      (local.set $a (i32.add (local.get $a) (i32.const 1)))\n";
        text += "      (local.set $b (i32.add (local.get $b) (i32.const 1)))\n";
        text += "      (local.set $len (i32.sub (local.get $len) (i32.const 1))) (br $next)))\n";
        text += "    (i32.const 1))\n";
        text += "  (func (export \"_start\") (local $errno i32) (local $cookie i64) (local $count i32)\n";
        for fd in 0..self.opened {
            let _ = writeln!(text, "    (local $fd{fd} i32)");
        }
        text += &self.body;
        text += "  (call $exit (i32.const 0))))\n";
        text
    }

    /// Number of steps so far.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// What the step was whose number the program printed.
    pub fn step(&self, printed: &str) -> String {
        let number = printed.trim().parse::<usize>().unwrap_or(0);
        let step = number.checked_sub(1).and_then(|index| self.steps.get(index));
        format!("step {number}: {}", step.map_or("none", |step| step))
    }

    fn data(&mut self, bytes: &[u8]) -> (u32, usize) {
        let at = self.used;
        let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = writeln!(self.data, "  (data (i32.const {at}) \"{text}\")");
        self.used += (bytes.len() as u32).next_multiple_of(8);
        (at, bytes.len())
    }

    fn path(&mut self, path: &str) -> String {
        let (at, len) = self.data(path.as_bytes());
        format!("(i32.const {at}) (i32.const {len})")
    }

    fn next(&mut self, what: String) -> usize {
        self.steps.push(what);
        assert!(self.steps.len() < 4096);
        self.steps.len()
    }

    /// Makes a condition of the program.
    pub fn holds(&mut self, what: impl Into<String>, condition: &str) {
        let step = self.next(what.into());
        let _ = writeln!(self.body, "    (call $check {condition} (i32.const {step}))");
    }

    /// A call with operands in text form.
    pub fn call(&mut self, name: &str, operands: &str, expected: impl Expected) {
        let all = expected.all();
        let step = self.next(format!("{name} {operands} answers {all:?}"));
        let mut one = "(i32.const 0)".to_owned();
        for errno in all {
            one = format!("(i32.or {one} (i32.eq (local.get $errno) (i32.const {errno})))");
        }
        let _ = writeln!(self.body, "    (local.set $errno (call ${name} {operands}))");
        let _ = writeln!(self.body, "    (call $check {one} (i32.const {step}))");
    }

    #[expect(clippy::too_many_arguments, reason = "those of path_open")]
    pub fn open_with(
        &mut self,
        dir: Fd,
        dirflags: u32,
        path: &str,
        oflags: u32,
        rights: u64,
        fdflags: u32,
        expected: impl Expected,
    ) -> Fd {
        let path = self.path(path);
        let operands = format!(
            "{dir} (i32.const {dirflags}) {path} (i32.const {oflags}) (i64.const {rights}) (i64.const 0) \
             (i32.const {fdflags}) (i32.const {RESULT})"
        );
        self.call("path_open", &operands, expected);
        let fd = self.opened;
        self.opened += 1;
        let _ = writeln!(self.body, "    (local.set $fd{fd} (i32.load (i32.const {RESULT})))");
        Fd::Opened(fd)
    }

    /// Opens without following links.
    pub fn open(&mut self, dir: Fd, path: &str, oflags: u32, rights: u64) -> Fd {
        self.open_with(dir, 0, path, oflags, rights, 0, errno::OK)
    }

    pub fn cannot_open(
        &mut self,
        dir: Fd,
        dirflags: u32,
        path: &str,
        oflags: u32,
        rights: u64,
        expected: impl Expected,
    ) {
        self.open_with(dir, dirflags, path, oflags, rights, 0, expected);
    }

    pub fn close(&mut self, fd: Fd) {
        self.call("fd_close", &fd.to_string(), errno::OK);
    }

    /// An empty file.
    pub fn file(&mut self, dir: Fd, path: &str) {
        let fd = self.open(dir, path, CREAT, READ | WRITE);
        self.close(fd);
    }

    fn iovec(&mut self, at: u32, len: usize) -> String {
        let _ = writeln!(self.body, "    (i32.store (i32.const {IOVEC}) (i32.const {at}))");
        let _ = writeln!(self.body, "    (i32.store (i32.const {}) (i32.const {len}))", IOVEC + 4);
        format!("(i32.const {IOVEC}) (i32.const 1)")
    }

    fn counted(&mut self, what: &str, count: usize) {
        self.holds(
            format!("{what}: {count} bytes"),
            &format!("(i32.eq (i32.load (i32.const {RESULT})) (i32.const {count}))"),
        );
    }

    pub fn write(&mut self, fd: Fd, bytes: &[u8]) {
        let (at, len) = self.data(bytes);
        let iovec = self.iovec(at, len);
        self.call("fd_write", &format!("{fd} {iovec} (i32.const {RESULT})"), errno::OK);
        self.counted("fd_write", len);
    }

    pub fn cannot_write(&mut self, fd: Fd, expected: impl Expected) {
        let (at, len) = self.data(b"x");
        let iovec = self.iovec(at, len);
        self.call("fd_write", &format!("{fd} {iovec} (i32.const {RESULT})"), expected);
    }

    pub fn pwrite(&mut self, fd: Fd, bytes: &[u8], offset: u64) {
        let (at, len) = self.data(bytes);
        let iovec = self.iovec(at, len);
        let operands = format!("{fd} {iovec} (i64.const {offset}) (i32.const {RESULT})");
        self.call("fd_pwrite", &operands, errno::OK);
        self.counted("fd_pwrite", len);
    }

    fn read_back(&mut self, what: &str, expected: &[u8]) {
        self.counted(what, expected.len());
        let (at, len) = self.data(expected);
        self.holds(
            format!("{what}: the bytes {:?}", String::from_utf8_lossy(expected)),
            &format!("(call $same (i32.const {BUFFER}) (i32.const {at}) (i32.const {len}))"),
        );
    }

    /// Reads at most `len` bytes: these.
    pub fn read(&mut self, fd: Fd, len: usize, expected: &[u8]) {
        let iovec = self.iovec(BUFFER, len);
        self.call("fd_read", &format!("{fd} {iovec} (i32.const {RESULT})"), errno::OK);
        self.read_back("fd_read", expected);
    }

    pub fn cannot_read(&mut self, fd: Fd, expected: impl Expected) {
        let iovec = self.iovec(BUFFER, 10);
        self.call("fd_read", &format!("{fd} {iovec} (i32.const {RESULT})"), expected);
    }

    pub fn pread(&mut self, fd: Fd, len: usize, offset: u64, expected: &[u8]) {
        let iovec = self.iovec(BUFFER, len);
        let operands = format!("{fd} {iovec} (i64.const {offset}) (i32.const {RESULT})");
        self.call("fd_pread", &operands, errno::OK);
        self.read_back("fd_pread", expected);
    }

    fn position(&mut self, what: &str, position: u64) {
        self.holds(
            format!("{what}: position {position}"),
            &format!("(i64.eq (i64.load (i32.const {RESULT})) (i64.const {position}))"),
        );
    }

    pub fn seek(&mut self, fd: Fd, offset: i64, whence: u32, expected: u64) {
        let operands = format!("{fd} (i64.const {offset}) (i32.const {whence}) (i32.const {RESULT})");
        self.call("fd_seek", &operands, errno::OK);
        self.position("fd_seek", expected);
    }

    pub fn cannot_seek(&mut self, fd: Fd, offset: i64, whence: u32, expected: impl Expected) {
        let operands = format!("{fd} (i64.const {offset}) (i32.const {whence}) (i32.const {RESULT})");
        self.call("fd_seek", &operands, expected);
    }

    pub fn tell(&mut self, fd: Fd, expected: u64) {
        self.call("fd_tell", &format!("{fd} (i32.const {RESULT})"), errno::OK);
        self.position("fd_tell", expected);
    }

    /// The size that `fd_filestat_get` answers.
    pub fn size(&mut self, fd: Fd, expected: u64) {
        self.call("fd_filestat_get", &format!("{fd} (i32.const {RECORD})"), errno::OK);
        self.holds(
            format!("a size of {expected}"),
            &format!("(i64.eq (i64.load (i32.const {})) (i64.const {expected}))", RECORD + 32),
        );
    }

    /// Type and size by path.
    pub fn stat(&mut self, dir: Fd, flags: u32, path: &str, filetype: u8, size: Option<u64>) {
        let path = self.path(path);
        let operands = format!("{dir} (i32.const {flags}) {path} (i32.const {RECORD})");
        self.call("path_filestat_get", &operands, errno::OK);
        self.holds(
            format!("type {filetype}"),
            &format!("(i32.eq (i32.load8_u (i32.const {})) (i32.const {filetype}))", RECORD + 16),
        );
        if let Some(size) = size {
            self.holds(
                format!("a size of {size}"),
                &format!("(i64.eq (i64.load (i32.const {})) (i64.const {size}))", RECORD + 32),
            );
        }
    }

    pub fn cannot_stat(&mut self, dir: Fd, flags: u32, path: &str, expected: impl Expected) {
        let path = self.path(path);
        let operands = format!("{dir} (i32.const {flags}) {path} (i32.const {RECORD})");
        self.call("path_filestat_get", &operands, expected);
    }

    /// Number of names.
    pub fn links(&mut self, fd: Fd, expected: u64) {
        self.call("fd_filestat_get", &format!("{fd} (i32.const {RECORD})"), errno::OK);
        self.holds(
            format!("{expected} links"),
            &format!("(i64.eq (i64.load (i32.const {})) (i64.const {expected}))", RECORD + 24),
        );
    }

    pub fn set_size(&mut self, fd: Fd, size: u64, expected: impl Expected) {
        self.call("fd_filestat_set_size", &format!("{fd} (i64.const {size})"), expected);
    }

    pub fn allocate(&mut self, fd: Fd, offset: u64, len: u64, expected: impl Expected) {
        self.call("fd_allocate", &format!("{fd} (i64.const {offset}) (i64.const {len})"), expected);
    }

    pub fn set_flags(&mut self, fd: Fd, flags: u32, expected: impl Expected) {
        self.call("fd_fdstat_set_flags", &format!("{fd} (i32.const {flags})"), expected);
    }

    pub fn set_rights(&mut self, fd: Fd, base: u64, inheriting: u64, expected: impl Expected) {
        let operands = format!("{fd} (i64.const {base}) (i64.const {inheriting})");
        self.call("fd_fdstat_set_rights", &operands, expected);
    }

    /// Gives these rights up.
    pub fn drop_rights(&mut self, fd: Fd, base: u64, inheriting: u64) {
        self.call("fd_fdstat_get", &format!("{fd} (i32.const {RECORD})"), errno::OK);
        let keep = |at: u32, gone: u64| {
            format!("(i64.and (i64.load (i32.const {})) (i64.const {}))", RECORD + at, !gone as i64)
        };
        let operands = format!("{fd} {} {}", keep(8, base), keep(16, inheriting));
        self.call("fd_fdstat_set_rights", &operands, errno::OK);
    }

    /// Which of these rights a descriptor has: all or none of them.
    pub fn has_rights(&mut self, fd: Fd, rights: u64, all: bool) {
        self.call("fd_fdstat_get", &format!("{fd} (i32.const {RECORD})"), errno::OK);
        let expected = if all { rights } else { 0 };
        self.holds(
            format!("rights {rights:#x}: {all}"),
            &format!(
                "(i64.eq (i64.and (i64.load (i32.const {})) (i64.const {rights})) (i64.const {expected}))",
                RECORD + 8
            ),
        );
    }

    /// The flags of a descriptor.
    pub fn has_flags(&mut self, fd: Fd, flags: u32) {
        self.call("fd_fdstat_get", &format!("{fd} (i32.const {RECORD})"), errno::OK);
        self.holds(
            format!("flags {flags:#x}"),
            &format!("(i32.eq (i32.load16_u (i32.const {})) (i32.const {flags}))", RECORD + 2),
        );
    }

    fn at(&mut self, name: &str, dir: Fd, path: &str, expected: impl Expected) {
        let path = self.path(path);
        self.call(name, &format!("{dir} {path}"), expected);
    }

    pub fn mkdir(&mut self, dir: Fd, path: &str, expected: impl Expected) {
        self.at("path_create_directory", dir, path, expected);
    }

    pub fn rmdir(&mut self, dir: Fd, path: &str, expected: impl Expected) {
        self.at("path_remove_directory", dir, path, expected);
    }

    pub fn unlink(&mut self, dir: Fd, path: &str, expected: impl Expected) {
        self.at("path_unlink_file", dir, path, expected);
    }

    pub fn rename(&mut self, from: Fd, old: &str, to: Fd, new: &str, expected: impl Expected) {
        let (old, new) = (self.path(old), self.path(new));
        self.call("path_rename", &format!("{from} {old} {to} {new}"), expected);
    }

    pub fn link(&mut self, from: Fd, flags: u32, old: &str, to: Fd, new: &str, expected: impl Expected) {
        let (old, new) = (self.path(old), self.path(new));
        self.call("path_link", &format!("{from} (i32.const {flags}) {old} {to} {new}"), expected);
    }

    pub fn symlink(&mut self, target: &str, dir: Fd, path: &str, expected: impl Expected) {
        let (target, path) = (self.path(target), self.path(path));
        self.call("path_symlink", &format!("{target} {dir} {path}"), expected);
    }

    /// Reads a link into a buffer of `room` bytes.
    pub fn readlink(&mut self, dir: Fd, path: &str, room: usize, expected: &[u8]) {
        let path = self.path(path);
        let operands = format!("{dir} {path} (i32.const {BUFFER}) (i32.const {room}) (i32.const {RESULT})");
        self.call("path_readlink", &operands, errno::OK);
        self.read_back("path_readlink", expected);
    }

    /// Access and modification time by descriptor.
    pub fn set_times(&mut self, fd: Fd, accessed: u64, modified: u64, flags: u32, expected: impl Expected) {
        let operands = format!("{fd} (i64.const {accessed}) (i64.const {modified}) (i32.const {flags})");
        self.call("fd_filestat_set_times", &operands, expected);
    }

    pub fn set_times_of(
        &mut self,
        dir: Fd,
        lookup: u32,
        path: &str,
        [accessed, modified]: [u64; 2],
        flags: u32,
        expected: impl Expected,
    ) {
        let path = self.path(path);
        let operands = format!(
            "{dir} (i32.const {lookup}) {path} (i64.const {accessed}) (i64.const {modified}) (i32.const {flags})"
        );
        self.call("path_filestat_set_times", &operands, expected);
    }

    /// Both times by path.
    pub fn times_of(&mut self, dir: Fd, lookup: u32, path: &str, expected: [Option<u64>; 2]) {
        let path = self.path(path);
        let operands = format!("{dir} (i32.const {lookup}) {path} (i32.const {RECORD})");
        self.call("path_filestat_get", &operands, errno::OK);
        for (at, time) in [40, 48].into_iter().zip(expected) {
            if let Some(time) = time {
                self.holds(
                    format!("time at {at} is {time}"),
                    &format!("(i64.eq (i64.load (i32.const {})) (i64.const {time}))", RECORD + at),
                );
            }
        }
    }

    /// Counts all entries with a buffer of `room` bytes for each call.
    pub fn entries(&mut self, dir: Fd, room: u32, expected: u32) {
        let step = self.next(format!("fd_readdir of {dir} with {room} bytes: {expected} entries"));
        // $at walks the whole entries of a full buffer; the cookie is the last one's.
        let _ = writeln!(
            self.body,
            "    (local.set $cookie (i64.const 0)) (local.set $count (i32.const 0))
    (loop $more
      (call $check (i32.eqz (call $fd_readdir {dir} (i32.const {BUFFER}) (i32.const {room}) (local.get $cookie)
        (i32.const {RESULT}))) (i32.const {step}))
      (i32.store (i32.const {RECORD}) (i32.const {BUFFER}))
      (block $read (loop $entry
        (br_if $read (i32.gt_u (i32.add (i32.load (i32.const {RECORD})) (i32.const 24))
          (i32.add (i32.const {BUFFER}) (i32.load (i32.const {RESULT})))))
        (br_if $read (i32.gt_u
          (i32.add (i32.add (i32.load (i32.const {RECORD})) (i32.const 24))
            (i32.load offset=16 (i32.load (i32.const {RECORD}))))
          (i32.add (i32.const {BUFFER}) (i32.load (i32.const {RESULT})))))
        (local.set $cookie (i64.load (i32.load (i32.const {RECORD}))))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (i32.store (i32.const {RECORD}) (i32.add (i32.add (i32.load (i32.const {RECORD})) (i32.const 24))
          (i32.load offset=16 (i32.load (i32.const {RECORD})))))
        (br $entry)))
      (br_if $more (i32.eq (i32.load (i32.const {RESULT})) (i32.const {room}))))
    (call $check (i32.eq (local.get $count) (i32.const {expected})) (i32.const {step}))"
        );
    }
}

impl std::fmt::Display for Fd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fd::Number(number) => write!(f, "(i32.const {number})"),
            Fd::Opened(index) => write!(f, "(local.get $fd{index})"),
        }
    }
}
