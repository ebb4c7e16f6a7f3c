//! A program that calls the module as a test tells it to, in an enclave that is made of Rust.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::{Arc, Mutex};

use ring::hmac;
use twine_attest::sim::{self, QuotingEnclave};
use twine_host::sim::{Fuse, Processor};
use twine_sgx::{Attributes, AttributesFlags, REPORT_SIZE, Report, report_from_bytes, report_to_bytes};
use twine_tee::{KeyRequest, NoQuote, Platform, SealTo, TeeCtx, add_to_linker};
use twine_workload::Digest;
use wasmtime::{Engine, Linker, Memory, Module, Store, Val};

/// 2026-06-01T00:00:00Z.
pub const NOW: u64 = 1_780_272_000;

/// An enclave on a processor. Its seal keys depend on what EGETKEY's depend on; the processor's own are tested with
/// the image, in crates/twine.
#[derive(Clone)]
pub struct Enclave {
    pub processor: Arc<Processor>,
    pub mrenclave: [u8; 32],
    pub mrsigner: [u8; 32],
    pub isvprodid: u16,
    pub isvsvn: u16,
    pub configid: [u8; 64],
    pub configsvn: u16,
    pub debug: bool,
    pub workload: Digest,
    pub now: Option<u64>,
    pub quotes: bool,
    /// What the host answers instead of collateral of its own making.
    pub collateral: Option<Vec<u8>>,
    pub stop: Arc<Mutex<bool>>,
}

impl Enclave {
    pub fn new() -> Self {
        Self {
            processor: Arc::new(Processor::new(Fuse::random().unwrap()).unwrap()),
            mrenclave: [0xE1; 32],
            mrsigner: [0x51; 32],
            isvprodid: 7,
            isvsvn: 5,
            configid: [0xC0; 64],
            configsvn: 0,
            debug: false,
            workload: Digest([0xC0; 64]),
            now: Some(NOW),
            quotes: true,
            collateral: None,
            stop: Arc::default(),
        }
    }

    pub fn report(&self) -> Report {
        let mut report = report_from_bytes(&[0; REPORT_SIZE]);
        report.cpusvn = self.processor.cpusvn();
        report.mrenclave = self.mrenclave;
        report.mrsigner = self.mrsigner;
        report.isvprodid = self.isvprodid;
        report.isvsvn = self.isvsvn;
        report.configid = self.configid;
        report.configsvn = self.configsvn;
        let mut flags = AttributesFlags::INIT | AttributesFlags::MODE64BIT | AttributesFlags::KSS;
        flags.set(AttributesFlags::DEBUG, self.debug);
        report.attributes = Attributes { flags, xfrm: 7 };
        report
    }

    pub fn quote(&self, report_data: &[u8; 64]) -> Vec<u8> {
        let secret = self.processor.platform_secret(b"provisioning");
        let quoting = QuotingEnclave::new(self.processor.cpusvn(), &secret);
        let mut report = self.report();
        report.reportdata = *report_data;
        self.processor.sign_report(&mut report, &quoting.target());
        let key = |target: &_, keyid: &_| self.processor.report_key(target, keyid);
        quoting.quote(&report_to_bytes(&report), key).unwrap()
    }

    /// A policy that accepts this enclave.
    pub fn policy(&self) -> String {
        format!(
            "version = 1\n[[enclave.image]]\nmrenclave = \"{}\"\nmrsigner = \"{}\"\n[workload]\ndigest = [\"{}\"]\n[evidence]\n\
             insecure_simulation = true\n",
            hex::encode(self.mrenclave),
            hex::encode(self.mrsigner),
            hex::encode(self.configid)
        )
    }
}

impl Platform for Enclave {
    fn report(&self) -> Report {
        Self::report(self)
    }

    fn workload(&self) -> Digest {
        self.workload
    }

    fn quote(&mut self, report_data: &[u8; 64]) -> Result<Vec<u8>, NoQuote> {
        if self.quotes {
            Ok(Self::quote(self, report_data))
        } else {
            Err(NoQuote("nobody quotes here".into()))
        }
    }

    fn collateral(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        let made = || sim::collateral(NOW, sim::BASE_CPUSVN).unwrap().to_json().into_bytes();
        Some(self.collateral.clone().unwrap_or_else(made)).filter(|bytes| !bytes.is_empty())
    }

    fn seal_key(&mut self, request: &KeyRequest) -> Option<[u8; 16]> {
        let newer = |(asked, own): (&u8, &u8)| asked > own;
        if request.isv_svn > self.isvsvn
            || request.config_svn > self.configsvn
            || request.cpu_svn.iter().zip(&self.processor.cpusvn()).any(newer)
        {
            return None;
        }
        let mut on = Vec::new();
        if request.to == SealTo::Enclave {
            on.extend(self.mrenclave);
        }
        on.extend(self.mrsigner);
        on.extend(self.isvprodid.to_le_bytes());
        on.extend(self.configid);
        on.push(self.debug.into());
        on.extend(request.isv_svn.to_le_bytes());
        on.extend(request.config_svn.to_le_bytes());
        on.extend(request.cpu_svn);
        on.extend(request.key_id);
        let fuse = hmac::Key::new(hmac::HMAC_SHA256, &self.processor.platform_secret(b"test seal"));
        hmac::sign(&fuse, &on).as_ref()[..16].try_into().ok()
    }

    fn random(&mut self, buf: &mut [u8]) {
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), buf).unwrap();
    }

    fn now(&self) -> Option<u64> {
        self.now
    }

    fn stop_requested(&self) -> bool {
        *self.stop.lock().unwrap()
    }
}

/// How long what a pointer points to is.
#[derive(Clone, Copy)]
pub enum Length {
    Parameter(usize),
    Fixed(u32),
}
use Length::{Fixed, Parameter};

/// Name, number of parameters, and which of them are pointers with which lengths.
pub type Function = (&'static str, usize, &'static [(usize, Length)]);

/// Names, numbers of parameters, and which of them are pointers; `evidence_verify` has one of 64 bits.
pub const FUNCTIONS: &[Function] = &[
    ("identity", 1, &[(0, Fixed(224))]),
    ("evidence_collect", 7, &[(0, Parameter(1)), (2, Parameter(3)), (4, Parameter(5)), (6, Fixed(4))]),
    (
        "evidence_verify",
        13,
        &[
            (0, Parameter(1)),
            (2, Parameter(3)),
            (4, Parameter(5)),
            (6, Parameter(7)),
            (9, Fixed(224)),
            (10, Parameter(11)),
            (12, Fixed(4)),
        ],
    ),
    ("evidence_parse", 6, &[(0, Parameter(1)), (2, Fixed(224)), (3, Parameter(4)), (5, Fixed(4))]),
    ("seal", 8, &[(1, Parameter(2)), (3, Parameter(4)), (5, Parameter(6)), (7, Fixed(4))]),
    ("unseal", 7, &[(0, Parameter(1)), (2, Parameter(3)), (4, Parameter(5)), (6, Fixed(4))]),
    ("message", 3, &[(0, Parameter(1)), (2, Fixed(4))]),
];

/// Which parameter of `evidence_verify` is the time.
pub const TIME: usize = 8;

/// A module that passes each call on, with `pages` of memory.
fn wat(pages: u32) -> String {
    let mut imports = String::new();
    let mut functions = String::new();
    for (name, params, _) in FUNCTIONS {
        let types: Vec<_> = (0..*params)
            .map(|i| if *name == "evidence_verify" && i == TIME { "i64" } else { "i32" })
            .collect();
        let types = types.join(" ");
        let passed: String = (0..*params).map(|i| format!("(local.get {i})")).collect();
        imports +=
            &format!("(import \"twine_tee_v1\" \"{name}\" (func ${name} (param {types}) (result i32)))\n");
        functions +=
            &format!("(func (export \"{name}\") (param {types}) (result i32) (call ${name} {passed}))\n");
    }
    format!("(module {imports} (memory (export \"memory\") {pages}) {functions})")
}

/// A program in an enclave.
pub struct Program {
    store: Store<TeeCtx>,
    memory: Memory,
    instance: wasmtime::Instance,
    /// Where the next input goes.
    top: usize,
}

/// Where results go: a record, a length, a buffer.
pub const RECORD: u32 = 64;
pub const USED: u32 = 512;
pub const BUF: u32 = 1 << 16;
pub const BUF_LEN: u32 = 1 << 16;

impl Program {
    pub fn in_enclave(enclave: &Enclave) -> Self {
        Self::with_pages(enclave, 64)
    }

    pub fn with_pages(enclave: &Enclave, pages: u32) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, wat(pages)).unwrap();
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker, |ctx: &mut TeeCtx| ctx).unwrap();
        let mut store = Store::new(&engine, TeeCtx::new(Box::new(enclave.clone())));
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self { store, memory, instance, top: 1 << 18 }
    }

    /// Puts an input into memory: its pointer and length.
    pub fn put(&mut self, bytes: &[u8]) -> [u64; 2] {
        let at = self.top;
        self.memory.write(&mut self.store, at, bytes).unwrap();
        self.top += bytes.len().next_multiple_of(16);
        [at as u64, bytes.len() as u64]
    }

    /// The room of earlier inputs is free again.
    pub fn rewind(&mut self) {
        self.top = 1 << 18;
    }

    pub fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    /// Calls a function: its number, or why the program ended.
    pub fn call(&mut self, name: &str, args: &[u64]) -> Result<u32, wasmtime::Error> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let wide = |i| name == "evidence_verify" && i == TIME;
        let args: Vec<_> = args
            .iter()
            .enumerate()
            .map(|(i, arg)| if wide(i) { Val::I64(*arg as i64) } else { Val::I32(*arg as u32 as i32) })
            .collect();
        let mut result = [Val::I32(-1)];
        function.call(&mut self.store, &args, &mut result)?;
        Ok(result[0].unwrap_i32() as u32)
    }

    /// What the last call wrote to the buffer.
    pub fn result(&mut self) -> Vec<u8> {
        let used = self.used() as usize;
        let at = BUF as usize;
        self.memory()[at..at + used].to_vec()
    }

    pub fn used(&mut self) -> u32 {
        let at = USED as usize;
        u32::from_le_bytes(self.memory()[at..at + 4].try_into().unwrap())
    }

    pub fn record(&mut self) -> Vec<u8> {
        let at = RECORD as usize;
        self.memory()[at..at + 224].to_vec()
    }

    /// Calls with inputs by their bytes, between `before` and the result's buffer.
    fn outcome(&mut self, name: &str, args: Vec<u64>) -> Result<Vec<u8>, (u32, String)> {
        match self.call(name, &args).unwrap() {
            0 => Ok(self.result()),
            errno => Err((errno, self.message())),
        }
    }

    fn out() -> [u64; 3] {
        [BUF.into(), BUF_LEN.into(), USED.into()]
    }

    pub fn message(&mut self) -> String {
        assert_eq!(self.call("message", &Self::out()).unwrap(), 0);
        String::from_utf8(self.result()).unwrap()
    }

    pub fn collect(&mut self, data: &[u8], nonce: &[u8]) -> Result<Vec<u8>, (u32, String)> {
        let args = [&self.put(data)[..], &self.put(nonce), &Self::out()].concat();
        self.outcome("evidence_collect", args)
    }

    pub fn verify(&mut self, evidence: &[u8], nonce: &[u8], policy: &str) -> Result<Vec<u8>, (u32, String)> {
        self.verify_at(evidence, nonce, policy, b"", 0)
    }

    pub fn verify_at(
        &mut self,
        evidence: &[u8],
        nonce: &[u8],
        policy: &str,
        collateral: &[u8],
        at: u64,
    ) -> Result<Vec<u8>, (u32, String)> {
        let inputs =
            [self.put(evidence), self.put(nonce), self.put(policy.as_bytes()), self.put(collateral)].concat();
        let args = [&inputs[..], &[at, RECORD.into()], &Self::out()].concat();
        self.outcome("evidence_verify", args)
    }

    pub fn parse(&mut self, evidence: &[u8]) -> Result<Vec<u8>, (u32, String)> {
        let args = [&self.put(evidence)[..], &[RECORD.into()], &Self::out()].concat();
        self.outcome("evidence_parse", args)
    }

    pub fn seal(&mut self, to: u64, aad: &[u8], data: &[u8]) -> Result<Vec<u8>, (u32, String)> {
        let args = [&[to][..], &self.put(aad), &self.put(data), &Self::out()].concat();
        self.outcome("seal", args)
    }

    pub fn unseal(&mut self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, (u32, String)> {
        let args = [&self.put(aad)[..], &self.put(sealed), &Self::out()].concat();
        self.outcome("unseal", args)
    }
}

/// A small generator (xorshift) whose seed a failing test prints.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = std::env::var("TWINE_SEED").ok().and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or(now.as_nanos() as u64) | 1;
        println!("TWINE_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
