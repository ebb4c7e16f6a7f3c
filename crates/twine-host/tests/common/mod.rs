//! A tiny enclave in assembly, its SGXS stream and SIGSTRUCT, and a hand to drive it with.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(unsafe_code, reason = "the test enclave is assembly")]

use std::arch::global_asm;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest, Sha256};
use twine_host::backend::{Backend, Config, Enclave, EntryFault, Exit, Leaf, Regs};
use twine_host::sim::{Fuse, Processor, Sim};
use twine_sgx::{
    Attributes, AttributesFlags, Miscselect, PageType, SIGSTRUCT_HEADER1, SIGSTRUCT_HEADER2, SIGSTRUCT_SIZE,
    SecinfoFlags, Sigstruct, Tcs, sigstruct_to_bytes,
};

// Entered with RDI = a block of words, RSI = offset of a routine in this code, it jumps to the routine with
// R14 = the block and R13 = where EEXIT goes. Position-independent; pushes go to the host's stack.
global_asm!(
    ".pushsection .text.test_enclave, \"ax\", @progbits",
    ".balign 16",
    ".globl test_enclave_start",
    "test_enclave_start:",
    "mov r13, rcx",
    "mov r14, rdi",
    "mov r12, rax",
    "lea r15, [rip + test_enclave_start]",
    "add r15, rsi",
    "jmp r15",
    // Executes ENCLU with the block's words in RAX, RBX, RCX, RDX and stores RAX, RCX and flags.
    ".globl test_enclu",
    "test_enclu:",
    "mov rax, [r14]",
    "mov rbx, [r14 + 8]",
    "mov rcx, [r14 + 16]",
    "mov rdx, [r14 + 24]",
    "enclu",
    "mov [r14], rax",
    "mov [r14 + 16], rcx",
    "pushfq",
    "pop qword ptr [r14 + 32]",
    "jmp test_exit",
    // Copies: words are destination, source, length.
    ".globl test_copy",
    "test_copy:",
    "mov rdi, [r14]",
    "mov rsi, [r14 + 8]",
    "mov rcx, [r14 + 16]",
    "rep movsb",
    // EEXIT with recognisable results, on the stack of the latest entry: the SSA frame has it.
    ".globl test_exit",
    "test_exit:",
    "rdgsbase rax",
    "mov rcx, r12",
    "shl rcx, 12",
    "add rax, rcx",
    "mov rsp, [rax + 3912 + 144]",
    "mov rbp, [rax + 3912 + 152]",
    "mov rbx, r13",
    "mov rdi, r12",
    "mov rsi, 0x5151",
    "mov rdx, 0xD1D1",
    "mov r8, 0x8888",
    "mov r9, 0x9999",
    "mov eax, 4",
    "enclu",
    "ud2",
    ".globl test_accept_loop",
    "test_accept_loop:",
    "mov rbx, [r14 + 8]",
    "mov rcx, [r14 + 16]",
    "mov rdx, [r14 + 24]",
    "mov eax, 5",
    "1:",
    "enclu",
    "test eax, eax",
    "jne 2f",
    ".byte 0x48, 0x81, 0xC1, 0x00, 0x10, 0x00, 0x00",
    "mov eax, 5",
    "cmp rcx, rdx",
    "jb 1b",
    "2:",
    "mov [r14], rax",
    "mov [r14 + 16], rcx",
    "pushfq",
    "pop qword ptr [r14 + 32]",
    "jmp test_exit",
    ".globl test_extend_loop",
    "test_extend_loop:",
    "mov rbx, [r14 + 8]",
    "mov rcx, [r14 + 16]",
    "mov rdx, [r14 + 24]",
    "mov eax, 6",
    "1:",
    "enclu",
    ".byte 0x48, 0x81, 0xC1, 0x00, 0x10, 0x00, 0x00",
    "mov eax, 6",
    "cmp rcx, rdx",
    "jb 1b",
    "mov [r14], rax",
    "mov [r14 + 16], rcx",
    "jmp test_exit",
    ".globl test_syscall",
    "test_syscall:",
    "mov eax, 39",
    "syscall",
    "jmp test_exit",
    ".globl test_int80",
    "test_int80:",
    "mov eax, 20",
    "int 0x80",
    "jmp test_exit",
    ".globl test_cpuid",
    "test_cpuid:",
    "xor eax, eax",
    "cpuid",
    "jmp test_exit",
    ".globl test_ud2",
    "test_ud2:",
    "ud2",
    ".globl test_int3",
    "test_int3:",
    "int3",
    "jmp test_exit",
    ".globl test_divide",
    "test_divide:",
    "xor ecx, ecx",
    "div ecx",
    ".globl test_hlt",
    "test_hlt:",
    "hlt",
    // Jumps to the block's first word, out of the enclave.
    ".globl test_jump",
    "test_jump:",
    "jmp qword ptr [r14]",
    // Loads from, or stores to, the address in the block's first word.
    ".globl test_load",
    "test_load:",
    "mov rax, [r14]",
    "mov al, [rax]",
    "jmp test_exit",
    ".globl test_store",
    "test_store:",
    "mov rax, [r14]",
    "mov byte ptr [rax], 0x77",
    "jmp test_exit",
    // Calls code in the enclave and exits.
    ".globl test_call",
    "test_call:",
    "call qword ptr [r14]",
    "jmp test_exit",
    // Reads the FS and GS bases.
    ".globl test_bases",
    "test_bases:",
    "rdfsbase rax",
    "mov [r14], rax",
    "rdgsbase rax",
    "mov [r14 + 8], rax",
    "jmp test_exit",
    // Tells the host that it is inside, and spins until told to go on.
    ".globl test_spin",
    "test_spin:",
    "mov qword ptr [r14], 1",
    "1:",
    "pause",
    "cmp qword ptr [r14 + 8], 0",
    "je 1b",
    "jmp test_exit",
    // Fills registers with what the block says, faults at `test_fault_at`, and stores registers when resumed behind it.
    ".globl test_fault",
    "test_fault:",
    "ldmxcsr [r14 + 8]",
    "vmovdqu ymm3, [r14 + 32]",
    "mov rax, 0x1111",
    "mov rbx, 0x2222",
    "mov rcx, 0x3333",
    "mov rdx, 0x4444",
    "mov rsi, 0x5555",
    "mov rdi, 0x6666",
    "mov r8, 0x7777",
    "mov r9, 0x8888",
    "mov r10, 0x9999",
    "mov r11, 0xAAAA",
    "mov r15, [r14]",
    "std",
    ".globl test_fault_at",
    "test_fault_at:",
    "mov [r15], r10",
    "cld",
    "mov [r14 + 64], rax",
    "mov [r14 + 72], rbx",
    "mov [r14 + 80], rcx",
    "mov [r14 + 88], rdx",
    "mov [r14 + 96], rsi",
    "mov [r14 + 104], rdi",
    "mov [r14 + 112], r8",
    "mov [r14 + 120], r9",
    "mov [r14 + 128], r10",
    "mov [r14 + 136], r11",
    "stmxcsr [r14 + 144]",
    "vmovdqu [r14 + 160], ymm3",
    "jmp test_exit",
    ".globl test_enclave_end",
    "test_enclave_end:",
    ".popsection",
);

unsafe extern "C" {
    static test_enclave_start: u8;
    static test_enclave_end: u8;
}

/// Names a routine of the test enclave by its symbol.
macro_rules! routine {
    ($symbol:ident) => {{
        unsafe extern "C" {
            static $symbol: u8;
        }
        $crate::common::offset_in_code(&raw const $symbol)
    }};
}
#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use routine;

pub fn offset_in_code(symbol: *const u8) -> u64 {
    symbol as u64 - &raw const test_enclave_start as u64
}

pub const SIZE: u64 = 0x10_0000;
pub const CODE: u64 = 0;
pub const TCS: u64 = 0x1000;
pub const SSA: u64 = 0x2000;
pub const DATA: u64 = 0x4000;
pub const TCS2: u64 = 0x6000;
pub const SSA2: u64 = 0x7000;
/// Not in the image.
pub const HEAP: u64 = 0x2_0000;

pub const RX: SecinfoFlags = SecinfoFlags::R.union(SecinfoFlags::X).union(SecinfoFlags::PT_B1);
pub const RW: SecinfoFlags = SecinfoFlags::R.union(SecinfoFlags::W).union(SecinfoFlags::PT_B1);
pub const PT_TCS: SecinfoFlags = SecinfoFlags::PT_B0;

/// An SGXS stream under construction.
#[derive(Clone)]
pub struct Image {
    pub bytes: Vec<u8>,
}

impl Image {
    pub fn new(ssaframesize: u32, size: u64) -> Self {
        let mut bytes = b"ECREATE\0".to_vec();
        bytes.extend(ssaframesize.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.resize(64, 0);
        Self { bytes }
    }

    pub fn page(&mut self, offset: u64, flags: SecinfoFlags, data: &[u8]) -> &mut Self {
        self.bytes.extend(b"EADD\0\0\0\0");
        self.bytes.extend(offset.to_le_bytes());
        self.bytes.extend(flags.bits().to_le_bytes());
        self.bytes.extend([0; 40]);
        let mut page = data.to_vec();
        page.resize(4096, 0);
        for (i, chunk) in page.chunks(256).enumerate() {
            self.bytes.extend(b"EEXTEND\0");
            self.bytes.extend((offset + 256 * i as u64).to_le_bytes());
            self.bytes.extend([0; 48]);
            self.bytes.extend(chunk);
        }
        self
    }

    /// The test enclave: code, two TCS with two SSA frames each, two pages of data.
    pub fn test() -> Self {
        // SAFETY: the symbols enclose the code above.
        let code = unsafe {
            let start = &raw const test_enclave_start;
            std::slice::from_raw_parts(start, (&raw const test_enclave_end).offset_from(start) as usize)
        };
        let tcs = |ossa| Tcs { ossa, nssa: 2, ofsbasgx: DATA, ogsbasgx: ossa, ..Default::default() };
        let mut image = Self::new(1, SIZE);
        image
            .page(CODE, RX, code)
            .page(TCS, PT_TCS, &tcs(SSA).to_bytes())
            .page(SSA, RW, &[])
            .page(SSA + 0x1000, RW, &[])
            .page(DATA, RW, &[])
            .page(DATA + 0x1000, RW, &[])
            .page(TCS2, PT_TCS, &tcs(SSA2).to_bytes())
            .page(SSA2, RW, &[])
            .page(SSA2 + 0x1000, RW, &[]);
        image
    }

    pub fn mrenclave(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

pub fn attributes() -> Attributes {
    Attributes { flags: AttributesFlags::MODE64BIT | AttributesFlags::KSS, xfrm: 7 }
}

/// RSA-3072, exponent 3; made once and kept with the build's temporary files.
pub static KEY: LazyLock<RsaPrivateKey> = LazyLock::new(|| key("test-signer.pem"));

pub fn key(name: &str) -> RsaPrivateKey {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if let Ok(key) = RsaPrivateKey::read_pkcs8_pem_file(&path) {
        return key;
    }
    let key = RsaPrivateKey::new_with_exp(&mut rand_core::OsRng, 3072, &BigUint::from(3_u32)).unwrap();
    let mine = path.with_extension(format!("{}.{:?}", std::process::id(), std::thread::current().id()));
    key.write_pkcs8_pem_file(&mine, LineEnding::LF).unwrap();
    std::fs::rename(&mine, &path).unwrap();
    key
}

/// A SIGSTRUCT for the measurement, all masks ones.
pub fn sigstruct(mrenclave: [u8; 32]) -> Sigstruct {
    Sigstruct {
        header: SIGSTRUCT_HEADER1,
        header2: SIGSTRUCT_HEADER2,
        date: 0x2026_0101,
        exponent: 3,
        miscselect: Miscselect::EXINFO,
        miscmask: !0,
        attributes: attributes(),
        attributemask: [!0, !0],
        enclavehash: mrenclave,
        isvprodid: 7,
        isvsvn: 5,
        ..Default::default()
    }
}

fn little_endian(n: &BigUint) -> [u8; 384] {
    let mut bytes = n.to_bytes_le();
    bytes.resize(384, 0);
    bytes.try_into().unwrap()
}

pub fn sign_with(key: &RsaPrivateKey, mut sig: Sigstruct) -> [u8; SIGSTRUCT_SIZE] {
    let (first, second) = sig.signature_data();
    let digest = Sha256::new().chain_update(first).chain_update(second).finalize();
    let s = BigUint::from_bytes_be(&key.sign(Pkcs1v15Sign::new::<Sha256>(), &digest).unwrap());
    let n = key.n();
    sig.modulus = little_endian(n);
    sig.signature = little_endian(&s);
    sig.q1 = little_endian(&(&s * &s / n));
    sig.q2 = little_endian(&((&s * &s % n) * &s / n));
    sigstruct_to_bytes(&sig)
}

pub fn sign(sig: Sigstruct) -> [u8; SIGSTRUCT_SIZE] {
    sign_with(&KEY, sig)
}

pub fn processor() -> Arc<Processor> {
    Arc::new(Processor::new(Fuse::random().unwrap()).unwrap())
}

pub fn sim() -> Sim {
    Sim::new(processor()).unwrap()
}

/// The running test enclave.
pub struct Fixture {
    pub enclave: Arc<dyn Enclave>,
}

/// What an executed leaf left.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    pub rax: u64,
    pub rcx: u64,
    pub zf: bool,
}

impl Fixture {
    /// In checked mode: what these tests read and write of the enclave goes through the enclave.
    pub fn new() -> Self {
        Self::on(&sim().checked(), |_| {}, &Config::default())
    }

    pub fn on(sim: &Sim, change: impl FnOnce(&mut Sigstruct), config: &Config) -> Self {
        let image = Image::test();
        let mut sig = sigstruct(image.mrenclave());
        change(&mut sig);
        Self { enclave: sim.load(&image.bytes, &sign(sig), config).unwrap() }
    }

    pub fn address(&self, offset: u64) -> u64 {
        self.enclave.base().wrapping_add(offset)
    }

    pub fn enter(&self, tcs: u64, routine: u64, block: &mut [u64]) -> Result<Exit, EntryFault> {
        let mut regs = Regs { rdi: block.as_mut_ptr() as u64, rsi: routine, ..Default::default() };
        self.enclave.enter(Leaf::Eenter, self.address(tcs), &mut regs)
    }

    pub fn resume(&self, tcs: u64) -> Result<Exit, EntryFault> {
        self.enclave.enter(Leaf::Eresume, self.address(tcs), &mut Regs::default())
    }

    /// Runs a routine that must exit.
    pub fn run(&self, routine: u64, block: &mut [u64]) {
        assert_eq!(self.enter(TCS, routine, block), Ok(Exit::Exited));
    }

    /// Executes a leaf inside.
    pub fn enclu(&self, rax: u64, rbx: u64, rcx: u64, rdx: u64) -> Result<Done, Exit> {
        let mut block = [rax, rbx, rcx, rdx, 0];
        match self.enter(TCS, routine!(test_enclu), &mut block).unwrap() {
            Exit::Exited => Ok(Done { rax: block[0], rcx: block[2], zf: block[4] >> 6 & 1 == 1 }),
            exit => {
                self.recover();
                Err(exit)
            }
        }
    }

    /// Drops the SSA frame in use: points its RIP at the exit.
    pub fn recover(&self) {
        let gprs = SSA + twine_sgx::ssa::gprsgx_offset(1);
        self.poke_at(TCS, gprs + 136, &self.address(routine!(test_exit)).to_le_bytes());
        assert_eq!(self.resume(TCS), Ok(Exit::Exited));
    }

    fn poke_at(&self, tcs: u64, offset: u64, bytes: &[u8]) {
        let mut block = [self.address(offset), bytes.as_ptr() as u64, bytes.len() as u64];
        assert_eq!(self.enter(tcs, routine!(test_copy), &mut block), Ok(Exit::Exited));
    }

    /// Writes enclave memory, from inside.
    pub fn poke(&self, offset: u64, bytes: &[u8]) {
        self.poke_at(TCS, offset, bytes);
    }

    /// Reads enclave memory, from inside.
    pub fn peek<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0_u8; N];
        let mut block = [bytes.as_mut_ptr() as u64, self.address(offset), N as u64];
        self.run(routine!(test_copy), &mut block);
        bytes
    }
}

pub fn secinfo(flags: SecinfoFlags) -> [u8; 64] {
    twine_sgx::Secinfo::new(flags).to_bytes()
}

pub fn reg(flags: SecinfoFlags) -> SecinfoFlags {
    flags | PageType::Reg.into()
}
