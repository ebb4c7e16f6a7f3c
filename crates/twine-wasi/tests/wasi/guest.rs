//! A guest made of one WebAssembly function per WASI function, so that Rust calls them as a program would: through the
//! linker, with arguments in linear memory.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use twine_vfs::FileSystem;
use twine_wasi::{
    Access, Clock, MODULE, Output, Random, Sources, Stdin, StreamError, Waiter, WasiCtx, WasiCtxBuilder,
    Woken, add_to_linker,
};
use wasmtime::{Engine, Func, Linker, Memory, Module, Store, Val, ValType};

pub type Result<T> = std::result::Result<T, Errno>;

/// An errno as the program sees it; the names are those of the witx file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

macro_rules! errnos {
    ($($name:ident = $value:literal),*) => {
        $(pub const $name: Errno = Errno($value);)*
        impl std::fmt::Debug for Errno {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.0 {
                    $($value => f.write_str(stringify!($name)),)*
                    other => write!(f, "errno {other}"),
                }
            }
        }
    };
}
errnos!(
    BADF = 8,
    BUSY = 10,
    EXIST = 20,
    FBIG = 22,
    ILSEQ = 25,
    INVAL = 28,
    IO = 29,
    ISDIR = 31,
    LOOP = 32,
    MFILE = 33,
    NAMETOOLONG = 37,
    NOENT = 44,
    NOSPC = 51,
    NOTDIR = 54,
    NOTEMPTY = 55,
    NOTSOCK = 57,
    NOTSUP = 58,
    PERM = 63,
    PIPE = 64,
    ROFS = 69,
    SPIPE = 70,
    XDEV = 75,
    NOTCAPABLE = 76
);

pub const READ: u64 = 1 << 1;
pub const WRITE: u64 = 1 << 6;
pub const CREAT: u32 = 1;
pub const DIRECTORY: u32 = 2;
pub const EXCL: u32 = 4;
pub const TRUNC: u32 = 8;
pub const APPEND: u32 = 1;
pub const FOLLOW: u32 = 1;
pub const SET: u32 = 0;
pub const CUR: u32 = 1;
pub const END: u32 = 2;
/// The only preopen of [`Guest::new`].
pub const ROOT: u32 = 3;

/// What the fake host holds and has seen.
#[derive(Default)]
pub struct Host {
    pub stdin: VecDeque<u8>,
    /// Every write that arrived, in order: stream and bytes.
    pub written: Vec<(u8, Vec<u8>)>,
    pub monotonic: u64,
    pub realtime: u64,
    /// Every wait: deadline and whether standard input was asked for.
    pub waits: Vec<(Option<u64>, bool)>,
    /// Standard input gets this when the next wait begins.
    pub arrives: Option<Vec<u8>>,
    pub output_fails: Option<StreamError>,
}

#[derive(Clone, Default)]
pub struct Shared(pub Arc<Mutex<Host>>);

impl Shared {
    pub fn with<R>(&self, look: impl FnOnce(&mut Host) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    pub fn written(&self, stream: u8) -> Vec<u8> {
        self.with(|host| {
            host.written.iter().filter(|(at, _)| *at == stream).flat_map(|(_, b)| b.clone()).collect()
        })
    }

    pub fn sources(&self) -> Sources {
        Sources {
            clock: Box::new(self.clone()),
            random: Box::new(self.clone()),
            stdin: Box::new(self.clone()),
            stdout: Box::new(Stream(self.clone(), 1)),
            stderr: Box::new(Stream(self.clone(), 2)),
            waiter: Box::new(self.clone()),
        }
    }
}

struct Stream(Shared, u8);

impl Output for Stream {
    fn write(&mut self, buf: &[u8]) -> std::result::Result<(), StreamError> {
        self.0.with(|host| {
            host.written.push((self.1, buf.to_vec()));
            host.output_fails.map_or(Ok(()), Err)
        })
    }
}

impl Clock for Shared {
    fn monotonic(&self) -> u64 {
        self.with(|host| host.monotonic)
    }
    fn realtime(&self) -> u64 {
        self.with(|host| host.realtime)
    }
    fn monotonic_resolution(&self) -> u64 {
        7
    }
    fn realtime_resolution(&self) -> u64 {
        1000
    }
}

impl Random for Shared {
    fn fill(&mut self, buf: &mut [u8]) {
        buf.iter_mut().zip((1..=255).cycle()).for_each(|(byte, value)| *byte = value);
    }
}

impl Stdin for Shared {
    fn read(&mut self, buf: &mut [u8]) -> std::result::Result<usize, StreamError> {
        self.with(|host| {
            let count = buf.len().min(host.stdin.len());
            buf.iter_mut().zip(host.stdin.drain(..count)).for_each(|(to, from)| *to = from);
            Ok(count)
        })
    }
}

impl Waiter for Shared {
    fn wait(&mut self, deadline: Option<u64>, stdin: bool) -> Woken {
        self.with(|host| {
            host.waits.push((deadline, stdin));
            host.stdin.extend(host.arrives.take().unwrap_or_default());
            let stdin_ready = stdin && !host.stdin.is_empty();
            if let (Some(deadline), false) = (deadline, stdin_ready) {
                host.monotonic = host.monotonic.max(deadline);
            }
            Woken { stdin_ready }
        })
    }
}

pub struct Guest {
    pub store: Store<WasiCtx>,
    pub memory: Memory,
    pub host: Shared,
    pub stop: Arc<AtomicBool>,
    functions: HashMap<String, Func>,
}

impl Guest {
    /// One writable preopen `/` on an empty file system.
    pub fn new() -> Guest {
        Guest::with(|builder, fs| builder.preopen("/", fs.clone(), fs.root(), Access::ReadWrite))
    }

    pub fn with(configure: impl FnOnce(WasiCtxBuilder, Arc<dyn FileSystem>) -> WasiCtxBuilder) -> Guest {
        let host = Shared::default();
        host.with(|host| (host.monotonic, host.realtime) = (1_000_000, 1_700_000_000_000_000_000));
        let fs = crate::backing::new(&host);
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let builder = WasiCtxBuilder::new().stop(move || flag.load(Ordering::Relaxed));
        let ctx = configure(builder, fs).build(host.sources()).unwrap();
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
        let mut store = Store::new(&engine, ctx);
        let module = Module::new(&engine, wrappers(&linker, &mut store)).unwrap();
        store.data_mut().use_memory_of(&module);
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let functions = instance
            .exports(&mut store)
            .filter_map(|export| Some((export.name().to_owned(), export.into_func()?)))
            .collect();
        Guest { store, memory, host, stop, functions }
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.functions.keys().cloned().collect();
        names.sort();
        names
    }

    pub fn types(&self, name: &str) -> Vec<ValType> {
        self.functions[name].ty(&self.store).params().collect()
    }

    /// Calls a function with its raw arguments.
    pub fn raw(&mut self, name: &str, args: &[u64]) -> wasmtime::Result<Result<()>> {
        let function = self.functions[name];
        let ty = function.ty(&self.store);
        assert_eq!(ty.params().len(), args.len(), "{name}");
        let args: Vec<Val> = ty
            .params()
            .zip(args)
            .map(|(ty, &arg)| match ty {
                ValType::I32 => Val::I32(u32::try_from(arg).unwrap() as i32),
                _ => Val::I64(arg as i64),
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        function.call(&mut self.store, &args, &mut results)?;
        match results.first().and_then(Val::i32) {
            None | Some(0) => Ok(Ok(())),
            Some(errno) => Ok(Err(Errno(u16::try_from(errno).unwrap()))),
        }
    }

    pub fn call(&mut self, name: &str, args: &[u64]) -> Result<()> {
        self.raw(name, args).unwrap()
    }

    pub fn put(&mut self, address: u32, bytes: &[u8]) {
        self.memory.write(&mut self.store, address as usize, bytes).unwrap();
    }

    pub fn bytes(&self, address: u32, len: u32) -> Vec<u8> {
        self.memory.data(&self.store)[address as usize..][..len as usize].to_vec()
    }

    pub fn u16(&self, address: u32) -> u16 {
        u16::from_le_bytes(self.bytes(address, 2).try_into().unwrap())
    }
    pub fn u32(&self, address: u32) -> u32 {
        u32::from_le_bytes(self.bytes(address, 4).try_into().unwrap())
    }
    pub fn u64(&self, address: u32) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().unwrap())
    }

    /// Puts a path at a fixed place; two places, for the calls with two paths.
    fn path(&mut self, slot: u32, path: impl AsRef<[u8]>) -> (u64, u64) {
        let address = 0x1000 + slot * 0x2000;
        self.put(address, path.as_ref());
        (address.into(), path.as_ref().len() as u64)
    }

    pub fn open(
        &mut self,
        fd: u32,
        dirflags: u32,
        path: impl AsRef<[u8]>,
        oflags: u32,
        rights: u64,
        fdflags: u32,
    ) -> Result<u32> {
        let (at, len) = self.path(0, path);
        let args = [fd.into(), dirflags.into(), at, len, oflags.into(), rights, 0, fdflags.into(), 64];
        self.call("path_open", &args)?;
        Ok(self.u32(64))
    }

    /// Opens for reading and writing below [`ROOT`], creating the file if need be.
    pub fn create(&mut self, path: &str) -> u32 {
        self.open(ROOT, 0, path, CREAT, READ | WRITE, 0).unwrap()
    }

    /// Makes a file with contents and closes it.
    pub fn file(&mut self, path: &str, contents: &[u8]) {
        let fd = self.create(path);
        assert_eq!(self.write(fd, contents), Ok(contents.len() as u32));
        self.close(fd).unwrap();
    }

    pub fn close(&mut self, fd: u32) -> Result<()> {
        self.call("fd_close", &[fd.into()])
    }

    fn buffers(&mut self, lens: &[u32], at: u32) -> (u64, u64) {
        let mut address = at;
        for (index, len) in lens.iter().enumerate() {
            self.put(0x100 + index as u32 * 8, &address.to_le_bytes());
            self.put(0x104 + index as u32 * 8, &len.to_le_bytes());
            address += len;
        }
        (0x100, lens.len() as u64)
    }

    pub fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32> {
        self.put(0x8000, bytes);
        let (iovs, count) = self.buffers(&[bytes.len() as u32], 0x8000);
        self.call("fd_write", &[fd.into(), iovs, count, 64])?;
        Ok(self.u32(64))
    }

    pub fn pwrite(&mut self, fd: u32, bytes: &[u8], offset: u64) -> Result<u32> {
        self.put(0x8000, bytes);
        let (iovs, count) = self.buffers(&[bytes.len() as u32], 0x8000);
        self.call("fd_pwrite", &[fd.into(), iovs, count, offset, 64])?;
        Ok(self.u32(64))
    }

    pub fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>> {
        self.readv(fd, &[len])
    }

    pub fn readv(&mut self, fd: u32, lens: &[u32]) -> Result<Vec<u8>> {
        let (iovs, count) = self.buffers(lens, 0x8000);
        self.call("fd_read", &[fd.into(), iovs, count, 64])?;
        Ok(self.bytes(0x8000, self.u32(64)))
    }

    pub fn writev(&mut self, fd: u32, bytes: &[u8], lens: &[u32]) -> Result<u32> {
        self.put(0x8000, bytes);
        let (iovs, count) = self.buffers(lens, 0x8000);
        self.call("fd_write", &[fd.into(), iovs, count, 64])?;
        Ok(self.u32(64))
    }

    pub fn pread(&mut self, fd: u32, len: u32, offset: u64) -> Result<Vec<u8>> {
        let (iovs, count) = self.buffers(&[len], 0x8000);
        self.call("fd_pread", &[fd.into(), iovs, count, offset, 64])?;
        Ok(self.bytes(0x8000, self.u32(64)))
    }

    pub fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64> {
        self.call("fd_seek", &[fd.into(), offset as u64, whence.into(), 64])?;
        Ok(self.u64(64))
    }

    pub fn tell(&mut self, fd: u32) -> Result<u64> {
        self.call("fd_tell", &[fd.into(), 64])?;
        Ok(self.u64(64))
    }

    fn at_path(&mut self, name: &str, fd: u32, path: impl AsRef<[u8]>) -> Result<()> {
        let (at, len) = self.path(0, path);
        self.call(name, &[fd.into(), at, len])
    }

    pub fn mkdir(&mut self, fd: u32, path: impl AsRef<[u8]>) -> Result<()> {
        self.at_path("path_create_directory", fd, path)
    }

    pub fn rmdir(&mut self, fd: u32, path: impl AsRef<[u8]>) -> Result<()> {
        self.at_path("path_remove_directory", fd, path)
    }

    pub fn unlink(&mut self, fd: u32, path: impl AsRef<[u8]>) -> Result<()> {
        self.at_path("path_unlink_file", fd, path)
    }

    pub fn symlink(&mut self, target: impl AsRef<[u8]>, fd: u32, path: impl AsRef<[u8]>) -> Result<()> {
        let (old, old_len) = self.path(0, target);
        let (new, new_len) = self.path(1, path);
        self.call("path_symlink", &[old, old_len, fd.into(), new, new_len])
    }

    pub fn link(&mut self, fd: u32, flags: u32, old: &str, new_fd: u32, new: &str) -> Result<()> {
        let (old, old_len) = self.path(0, old);
        let (new, new_len) = self.path(1, new);
        self.call("path_link", &[fd.into(), flags.into(), old, old_len, new_fd.into(), new, new_len])
    }

    pub fn rename(&mut self, fd: u32, old: &str, new_fd: u32, new: &str) -> Result<()> {
        let (old, old_len) = self.path(0, old);
        let (new, new_len) = self.path(1, new);
        self.call("path_rename", &[fd.into(), old, old_len, new_fd.into(), new, new_len])
    }

    pub fn readlink(&mut self, fd: u32, path: &str, room: u32) -> Result<Vec<u8>> {
        let (at, len) = self.path(0, path);
        self.call("path_readlink", &[fd.into(), at, len, 0x8000, room.into(), 64])?;
        Ok(self.bytes(0x8000, self.u32(64)))
    }

    pub fn fdstat(&mut self, fd: u32) -> Result<Fdstat> {
        self.call("fd_fdstat_get", &[fd.into(), 64])?;
        Ok(Fdstat {
            filetype: self.bytes(64, 1)[0],
            flags: self.u16(66),
            base: self.u64(72),
            inheriting: self.u64(80),
        })
    }

    pub fn filestat(&mut self, fd: u32) -> Result<Filestat> {
        self.call("fd_filestat_get", &[fd.into(), 64])?;
        Ok(self.take_filestat())
    }

    pub fn stat(&mut self, fd: u32, flags: u32, path: &str) -> Result<Filestat> {
        let (at, len) = self.path(0, path);
        self.call("path_filestat_get", &[fd.into(), flags.into(), at, len, 64])?;
        Ok(self.take_filestat())
    }

    fn take_filestat(&self) -> Filestat {
        Filestat {
            dev: self.u64(64),
            ino: self.u64(72),
            filetype: self.bytes(80, 1)[0],
            nlink: self.u64(88),
            size: self.u64(96),
            atim: self.u64(104),
            mtim: self.u64(112),
            ctim: self.u64(120),
        }
    }

    /// Entries that are whole, and whether the buffer was filled.
    pub fn readdir(&mut self, fd: u32, room: u32, cookie: u64) -> Result<(Vec<Entry>, bool)> {
        self.call("fd_readdir", &[fd.into(), 0x8000, room.into(), cookie, 64])?;
        let used = self.u32(64);
        let bytes = self.bytes(0x8000, used);
        let mut entries = Vec::new();
        let mut rest = &bytes[..];
        while rest.len() >= 24 {
            let name_len = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
            let Some(name) = rest.get(24..24 + name_len) else { break };
            entries.push(Entry {
                next: u64::from_le_bytes(rest[..8].try_into().unwrap()),
                ino: u64::from_le_bytes(rest[8..16].try_into().unwrap()),
                filetype: rest[20],
                name: String::from_utf8(name.to_vec()).unwrap(),
            });
            rest = &rest[24 + name_len..];
        }
        Ok((entries, used == room))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fdstat {
    pub filetype: u8,
    pub flags: u16,
    pub base: u64,
    pub inheriting: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filestat {
    pub dev: u64,
    pub ino: u64,
    pub filetype: u8,
    pub nlink: u64,
    pub size: u64,
    pub atim: u64,
    pub mtim: u64,
    pub ctim: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub next: u64,
    pub ino: u64,
    pub filetype: u8,
    pub name: String,
}

/// A module that imports everything that is linked and exports a function of the same type for each.
fn wrappers(linker: &Linker<WasiCtx>, store: &mut Store<WasiCtx>) -> String {
    let names: Vec<String> = linker.iter(&mut *store).map(|(_, name, _)| name.to_owned()).collect();
    let mut imports = String::new();
    let mut functions = String::new();
    for name in names {
        let function = linker.get(&mut *store, MODULE, &name).unwrap().into_func().unwrap();
        let ty = function.ty(&*store);
        let params: String = ty.params().map(|ty| format!(" {ty}")).collect();
        let gets: String = (0..ty.params().len()).map(|index| format!(" local.get {index}")).collect();
        let result = if ty.results().len() == 1 { "(result i32)" } else { "" };
        imports += &format!("(import \"{MODULE}\" \"{name}\" (func ${name} (param{params}) {result}))\n");
        functions += &format!("(func (export \"{name}\") (param{params}) {result} {gets} call ${name})\n");
    }
    format!("(module {imports} (memory (export \"memory\") 4) {functions})")
}
