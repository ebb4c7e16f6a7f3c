//! Layers: a flag over the environment over a file over a default, and where each value came from.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{FileError, FileErrorKind, Manifest, tomlfile};

/// A configuration in the making: layers set its keys, [`Config::manifest`] checks the result.
#[derive(Clone, Debug)]
pub struct Config {
    table: Table,
    origins: BTreeMap<Vec<String>, Origin>,
    base: PathBuf,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Not set anywhere.
    Default,
    /// A line of a file.
    File {
        /// As given on the command line.
        path: String,
        /// From 1.
        line: usize,
    },
    /// A variable of the environment of the `twine` process.
    Environment(String),
    /// A flag or argument of the command line.
    Flag(String),
}

/// One value of the effective configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in `workload.limits.memory`.
    pub key: String,
    /// As TOML writes it.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// Whether the enclave's identity depends on it.
    pub measured: bool,
}

impl Config {
    /// The implicit manifest of `twine run MODULE -- ARGS`: defaults, the module, and its arguments after its file name.
    ///
    /// Relative paths are below `base`.
    pub fn implicit(base: impl Into<PathBuf>, module: &Path, args: &[String]) -> Result<Self, FileError> {
        let mut config = Self { table: Table::new(), origins: BTreeMap::new(), base: base.into() };
        config.set(&["version"], 1, Origin::Default);
        config.module(module, args)?;
        Ok(config)
    }

    /// Reads a manifest. Relative paths in it are below its directory.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| {
            let remedy = "name a readable manifest, or run a module without one";
            FileError::new(FileErrorKind::Missing, "", e.to_string(), remedy).at(file.clone())
        })?;
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        Self::parse(&text, &file, base)
    }

    /// Takes the text of a manifest that errors call `file`.
    pub fn parse(text: &str, file: &str, base: impl Into<PathBuf>) -> Result<Self, FileError> {
        let (manifest, lines) = tomlfile::read::<Manifest>(text, file)?;
        if manifest.version != 1 {
            let message = format!("found {}; this program knows version 1", manifest.version);
            let remedy = "write version = 1, or use a newer twine";
            return Err(FileError::value("version", message, remedy).at(file));
        }
        let table = text.parse::<Table>().map_err(|e| FileError::value("", e.message(), "").at(file))?;
        let origin = |line| Origin::File { path: file.into(), line };
        let origins = lines.into_iter().map(|(key, line)| (key, origin(line))).collect();
        Ok(Self { table, origins, base: base.into() })
    }

    /// The directory that relative paths are below.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Names the module's file and, unless `args` is empty and arguments are set already, the guest's arguments.
    pub fn module(&mut self, module: &Path, args: &[String]) -> Result<(), FileError> {
        let utf8 = |text: Option<&str>| {
            text.map(str::to_owned).ok_or_else(|| {
                FileError::value("host.module", "the path is not UTF-8", "rename the file").at("command line")
            })
        };
        let absolute = std::path::absolute(module).map_err(|e| {
            FileError::new(FileErrorKind::Missing, "host.module", e.to_string(), "name a file")
        })?;
        self.set(&["host", "module"], utf8(absolute.to_str())?, Origin::Flag("MODULE".into()));
        if !args.is_empty() || self.get(&["workload", "args"]).is_none() {
            let name = utf8(module.file_name().and_then(|name| name.to_str()))?;
            let all: Vec<String> = [name].into_iter().chain(args.iter().cloned()).collect();
            self.set(&["workload", "args"], all, Origin::Flag("MODULE [ARGS]".into()));
        }
        Ok(())
    }

    /// Sets a key, over whatever a lower layer said.
    pub fn set(&mut self, key: &[&str], value: impl Into<Value>, origin: Origin) {
        self.origins.retain(|old, _| !old.iter().map(String::as_str).take(key.len()).eq(key.iter().copied()));
        self.origins.insert(key.iter().map(|part| (*part).to_owned()).collect(), origin);
        if let Some((last, parents)) = key.split_last()
            && let Some(table) = self.parent(parents)
        {
            table.insert((*last).to_owned(), value.into());
        }
    }

    /// Appends to a list, as repeated flags do.
    pub fn push(&mut self, key: &[&str], value: impl Into<Value>, origin: Origin) {
        let mut list = match self.get(key) {
            Some(Value::Array(list)) => list.clone(),
            _ => Vec::new(),
        };
        let index = list.len().to_string();
        list.push(value.into());
        if let Some((last, parents)) = key.split_last()
            && let Some(table) = self.parent(parents)
        {
            table.insert((*last).to_owned(), Value::Array(list));
        }
        let key = key.iter().copied().chain([index.as_str()]).map(str::to_owned).collect();
        self.origins.insert(key, origin);
    }

    /// The typed manifest: unknown keys and wrong types of every layer are refused.
    pub fn manifest(&self) -> Result<Manifest, FileError> {
        tomlfile::check_keys::<Manifest>(&self.table)?;
        Value::Table(self.table.clone()).try_into().map_err(|e: toml::de::Error| {
            let origins: Vec<_> =
                self.origins.values().filter(|o| !matches!(o, Origin::File { .. })).collect();
            let place = origins.first().map(|origin| origin.to_string()).unwrap_or_default();
            FileError::value("", e.message().trim().to_owned(), "compare with the published schema").at(place)
        })
    }

    /// Every value of the effective configuration and where it came from, in the order of the keys.
    pub fn show(&self) -> Result<Vec<Setting>, FileError> {
        let effective = Value::try_from(self.manifest()?)
            .map_err(|e| FileError::value("", e.to_string(), "this is a mistake in twine: report it"))?;
        let mut settings = Vec::new();
        self.flatten(&effective, &mut Vec::new(), &mut settings);
        Ok(settings)
    }

    fn flatten(&self, value: &Value, path: &mut Vec<String>, settings: &mut Vec<Setting>) {
        match value {
            Value::Table(table) => {
                for (key, value) in table {
                    path.push(key.clone());
                    self.flatten(value, path, settings);
                    path.pop();
                }
            }
            Value::Array(items) if items.iter().any(Value::is_table) => {
                for (i, item) in items.iter().enumerate() {
                    path.push(i.to_string());
                    self.flatten(item, path, settings);
                    path.pop();
                }
            }
            leaf => settings.push(Setting {
                key: path.join("."),
                value: leaf.to_string(),
                origin: self.origin(path, leaf),
                measured: path.first().is_some_and(|table| table == "workload"),
            }),
        }
    }

    /// The origin of the key or of the nearest table around it that was set as one.
    fn origin(&self, path: &[String], value: &Value) -> Origin {
        // A list that repeated flags made has origins for its items only.
        let first_item = [path, &["0".to_owned()]].concat();
        let of_item = value.as_array().and_then(|_| self.origins.get(&first_item));
        (1..=path.len())
            .rev()
            .filter(|len| *len == path.len() || self.is_leaf(&path[..*len]))
            .find_map(|len| self.origins.get(&path[..len]))
            .or(of_item)
            .cloned()
            .unwrap_or(Origin::Default)
    }

    /// Whether a layer gave the key a value that is no table: its parts have no origins of their own.
    fn is_leaf(&self, path: &[String]) -> bool {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        self.get(&keys).is_none_or(|value| !value.is_table())
            || path.last().is_some_and(|k| k.parse::<usize>().is_ok())
    }

    fn get(&self, key: &[&str]) -> Option<&Value> {
        let (first, rest) = key.split_first()?;
        rest.iter().try_fold(self.table.get(*first)?, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            value => value.get(*part),
        })
    }

    /// The table that holds a key; whatever is in its way gives way, as the layer above wants a table there.
    fn parent(&mut self, path: &[&str]) -> Option<&mut Table> {
        path.iter().try_fold(&mut self.table, |table, part| {
            let value = table.entry((*part).to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if !value.is_table() {
                *value = Value::Table(Table::new());
            }
            value.as_table_mut()
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "command line {flag}"),
        }
    }
}
