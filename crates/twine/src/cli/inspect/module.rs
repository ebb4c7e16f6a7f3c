//! A WebAssembly module, described on the host. What runs is validated again inside the enclave.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use twine::workload::sha256;
use wasmparser::{Encoding, ExternalKind, Parser, Payload, TypeRef, Validator, WasmFeatures};

/// What a module holds.
#[derive(Serialize)]
pub struct ModuleInfo {
    /// What a workload names it by.
    sha256: String,
    bytes: usize,
    /// Why it is not valid.
    pub invalid: Option<String>,
    /// Names of imports by the module that they come from, which is the WASI version.
    imports: BTreeMap<String, Vec<String>>,
    exports: Vec<Export>,
    memories: Vec<Memory>,
    /// Functions with code.
    functions: u32,
    /// A program (`_start`), as against a library.
    command: bool,
    /// Traps are reported with function names.
    names: bool,
    /// Sizes of custom sections.
    custom_sections: BTreeMap<String, usize>,
}

#[derive(Serialize)]
struct Export {
    name: String,
    kind: &'static str,
}

#[derive(Serialize)]
struct Memory {
    /// Bytes.
    initial: u64,
    /// Bytes.
    maximum: Option<u64>,
    shared: bool,
    imported: bool,
}

/// Describes a module; fails for what cannot even be taken apart.
pub fn describe(bytes: &[u8]) -> Result<ModuleInfo, String> {
    let mut info = ModuleInfo {
        sha256: sha256(bytes).to_string(),
        bytes: bytes.len(),
        invalid: Validator::new_with_features(WasmFeatures::all())
            .validate_all(bytes)
            .err()
            .map(|e| e.to_string()),
        imports: BTreeMap::new(),
        exports: Vec::new(),
        memories: Vec::new(),
        functions: 0,
        command: false,
        names: false,
        custom_sections: BTreeMap::new(),
    };
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = match payload {
            Ok(payload) => payload,
            // What came before is still worth showing.
            Err(_) if info.invalid.is_some() => break,
            Err(error) => return Err(error.to_string()),
        };
        // A section that cannot be read is why the module is invalid, which is said already.
        let _ = info.add(payload)?;
    }
    info.command = info.exports.iter().any(|export| export.name == "_start" && export.kind == "function");
    Ok(info)
}

impl ModuleInfo {
    fn add(&mut self, payload: Payload<'_>) -> Result<wasmparser::Result<()>, String> {
        if let Payload::Version { encoding: Encoding::Component, .. } = payload {
            return Err("a WebAssembly component (WASI 0.2 or later); Twine runs modules for wasm32-wasip1"
                .to_owned());
        }
        Ok(self.section(payload))
    }

    fn section(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    if let TypeRef::Memory(memory) = import.ty {
                        self.memories.push(Memory::new(&memory, true));
                    }
                    self.imports.entry(import.module.to_owned()).or_default().push(import.name.to_owned());
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    self.exports.push(Export { name: export.name.to_owned(), kind: kind(export.kind) });
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories.push(Memory::new(&memory?, false));
                }
            }
            Payload::CodeSectionStart { count, .. } => self.functions = count,
            Payload::CustomSection(section) => {
                self.names |= section.name() == "name";
                *self.custom_sections.entry(section.name().to_owned()).or_default() += section.data().len();
            }
            _ => {}
        }
        Ok(())
    }
}

impl Memory {
    fn new(memory: &wasmparser::MemoryType, imported: bool) -> Self {
        let page = 1u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(1);
        Self {
            initial: memory.initial.saturating_mul(page),
            maximum: memory.maximum.map(|pages| pages.saturating_mul(page)),
            shared: memory.shared,
            imported,
        }
    }
}

fn kind(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => "function",
        ExternalKind::Table => "table",
        ExternalKind::Memory => "memory",
        ExternalKind::Global => "global",
        ExternalKind::Tag => "tag",
    }
}

/// The standard that an import module belongs to.
fn standard(module: &str) -> &'static str {
    match module {
        "wasi_snapshot_preview1" => "WASI preview 1",
        "wasi_unstable" => "WASI preview 0, not served",
        "wasi" => "wasi-threads, not served",
        module if module.starts_with("wasi:") => "WASI 0.2 or later, not served",
        module if module.starts_with("wasi_") => "a WASI proposal, not served",
        _ => "not WASI, not served",
    }
}

impl fmt::Display for ModuleInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "WebAssembly module, {} bytes", self.bytes)?;
        writeln!(f, "sha256      {}", self.sha256)?;
        if let Some(error) = &self.invalid {
            writeln!(f, "NOT VALID   {error}")?;
        }
        let role = if self.command { "a program (exports _start)" } else { "no program (exports no _start)" };
        writeln!(f, "role        {role}")?;
        let names = if self.names { "with function names" } else { "without function names" };
        writeln!(f, "functions   {}, {names}", self.functions)?;
        for memory in &self.memories {
            let maximum = memory.maximum.map_or("no maximum".into(), |bytes| format!("at most {bytes}"));
            let origin = if memory.imported { ", imported" } else { "" };
            let shared = if memory.shared { ", shared" } else { "" };
            writeln!(f, "memory      {} bytes, {maximum}{origin}{shared}", memory.initial)?;
        }
        for (module, names) in &self.imports {
            writeln!(f, "imports     {module} ({})", standard(module))?;
            names.iter().try_for_each(|name| writeln!(f, "  {name}"))?;
        }
        for export in &self.exports {
            writeln!(f, "exports     {} {}", export.kind, export.name)?;
        }
        self.custom_sections
            .iter()
            .try_for_each(|(name, bytes)| writeln!(f, "custom      {name}, {bytes} bytes"))
    }
}
