//! The rules that a workload keeps, so that two parties who read it cannot understand it differently.

use core::fmt::Debug;

use crate::{Deliverer, EnvValue, Error, Identity, Mount, MountSource, NetworkRule, Result, Workload};

impl Workload {
    pub(crate) fn check(&self) -> Result<()> {
        if let Identity::Owner { name, .. } = &self.identity {
            check_name(name, || "identity.name".into())?;
        }
        for (i, arg) in self.args.iter().enumerate() {
            require(!arg.contains('\0'), || format!("args[{i}]"), arg, NO_NUL)?;
        }
        self.check_env()?;
        for (i, mount) in self.mounts.iter().enumerate() {
            mount.check(i)?;
        }
        check_sorted("mounts", &self.mounts, |mount| &mount.guest)?;
        self.check_volume_names()?;
        for (i, rule) in self.network.iter().enumerate() {
            rule.check(i)?;
        }
        check_sorted("network", &self.network, |rule| rule)?;
        self.check_delivery()
    }

    /// Everything that is delivered comes from exactly one deliverer.
    fn check_delivery(&self) -> Result<()> {
        let rule = "it is left out where nobody delivers";
        require(self.delivery.as_ref().is_none_or(|all| !all.is_empty()), || "delivery".into(), "[]", rule)?;
        let deliverers = self.deliverers();
        for (i, deliverer) in deliverers.iter().enumerate() {
            check_name(&deliverer.name, || format!("delivery[{i}].name"))?;
            let earlier = deliverers.iter().take(i);
            let rule = "each deliverer has its own key";
            let unique = earlier.clone().all(|other| other.key != deliverer.key);
            require(unique, || format!("delivery[{i}].key"), crate::Sha256(deliverer.key), rule)?;
            let rule = "output goes to one deliverer at most";
            let single = !deliverer.output || earlier.clone().all(|other| !other.output);
            require(single, || format!("delivery[{i}].output"), true, rule)?;
        }
        check_sorted("delivery", deliverers, |deliverer| &deliverer.name)?;
        type Part = fn(&Deliverer) -> &[String];
        let parts: [(&str, Vec<String>, Part); 3] = [
            ("env", self.delivered_variables(), |deliverer| &deliverer.env),
            ("files", self.delivered_files(), |deliverer| &deliverer.files),
            ("volumes", self.owner_volumes(), |deliverer| &deliverer.volumes),
        ];
        for (part, wanted, of) in parts {
            for (i, deliverer) in deliverers.iter().enumerate() {
                let list = format!("delivery[{i}].{part}");
                check_sorted(&list, of(deliverer), |name| name)?;
                for name in of(deliverer) {
                    let rule = "a deliverer delivers what the workload takes by delivery";
                    require(wanted.contains(name), || list.clone(), name, rule)?;
                }
            }
            // An owner's volume may be there without deliverers: then it does not open.
            if part == "volumes" && deliverers.is_empty() {
                continue;
            }
            for name in &wanted {
                let from = deliverers.iter().filter(|deliverer| of(deliverer).contains(name)).count();
                let rule = "what is delivered comes from exactly one deliverer";
                require(from == 1, || format!("delivery.{part}"), name, rule)?;
            }
        }
        Ok(())
    }

    fn check_env(&self) -> Result<()> {
        for (i, variable) in self.env.iter().enumerate() {
            let name = &variable.name;
            let good = !name.is_empty() && !name.contains(['=', '\0']);
            require(
                good,
                || format!("env[{i}].name"),
                name,
                "a name is not empty and holds neither = nor NUL",
            )?;
            if let EnvValue::Fixed(value) = &variable.value {
                require(!value.contains('\0'), || format!("env[{i}].value"), value, NO_NUL)?;
            }
        }
        check_sorted("env", &self.env, |variable| &variable.name)
    }

    /// Two mounts of one volume would be two writers of one store.
    fn check_volume_names(&self) -> Result<()> {
        let mut seen = Vec::new();
        for (i, mount) in self.mounts.iter().enumerate() {
            if let MountSource::Volume { name, .. } = &mount.source {
                let field = || format!("mounts[{i}].source.name");
                require(!seen.contains(&name), field, name, "a volume is mounted once")?;
                seen.push(name);
            }
        }
        Ok(())
    }
}

impl Mount {
    fn check(&self, i: usize) -> Result<()> {
        let below_root = self.guest.strip_prefix('/').unwrap_or_default();
        let good = self.guest == "/" || is_normal(below_root);
        let rule = "a guest path is absolute, without empty, . and .. components, a / at the end and NUL";
        require(good, || format!("mounts[{i}].guest"), &self.guest, rule)?;
        match &self.source {
            MountSource::Volume { name, .. } => check_name(name, || format!("mounts[{i}].source.name")),
            MountSource::Measured { files } => {
                self.check_read_only(i)?;
                check_files(files.iter().map(|file| file.path.as_str()), i)
            }
            MountSource::Delivered { files } => {
                self.check_read_only(i)?;
                check_files(files.iter().map(String::as_str), i)
            }
            MountSource::Scratch { .. } | MountSource::InsecureHost => Ok(()),
        }
    }

    fn check_read_only(&self, i: usize) -> Result<()> {
        let rule = "measured and delivered files never change";
        require(self.read_only, || format!("mounts[{i}].read_only"), false, rule)
    }
}

fn check_files<'a>(files: impl Iterator<Item = &'a str>, mount: usize) -> Result<()> {
    let files: Vec<&str> = files.collect();
    for (i, path) in files.iter().enumerate() {
        let rule = "a file's path is relative, without empty, . and .. components and NUL";
        require(is_normal(path), || format!("mounts[{mount}].source.files[{i}].path"), path, rule)?;
    }
    // By components: `a/b` comes before `a.b`, so that a file that is also another's directory is its neighbour.
    for (i, pair) in files.windows(2).enumerate() {
        let [first, second] = pair else { continue };
        let (first, second): (Vec<_>, Vec<_>) = (first.split('/').collect(), second.split('/').collect());
        let field = || format!("mounts[{mount}].source.files[{}].path", i + 1);
        require(first < second, field, second.join("/"), "files are sorted by path, and each stands once")?;
        let rule = "a file is not a directory as well";
        require(!second.starts_with(&first), field, second.join("/"), rule)?;
    }
    Ok(())
}

impl NetworkRule {
    fn check(&self, i: usize) -> Result<()> {
        let host = self.host.as_str();
        let dns = |host: &str| {
            host.len() <= 253
                && host.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                        && label
                            .bytes()
                            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
                })
        };
        // An address has one spelling, else the same rule had several identities.
        let address = host.parse::<core::net::IpAddr>().is_ok_and(|address| address.to_string() == host);
        let rule = "a host is * for any, a DNS name in lower case, or an IP address in its shortest form";
        require(host == "*" || address || dns(host), || format!("network[{i}].host"), host, rule)
    }
}

fn check_name(name: &str, field: impl FnOnce() -> String) -> Result<()> {
    let good = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    require(good, field, name, "a name is 1 to 64 of a-z A-Z 0-9 . _ -")
}

/// Order that means nothing is fixed, and nothing stands twice.
fn check_sorted<T, K: Ord + Debug + ?Sized>(list: &str, items: &[T], key: impl Fn(&T) -> &K) -> Result<()> {
    for (i, pair) in items.windows(2).enumerate() {
        let [first, second] = pair else { continue };
        let (first, second) = (key(first), key(second));
        require(
            first < second,
            || format!("{list}[{}]", i + 1),
            second,
            "entries are sorted, and each stands once",
        )?;
    }
    Ok(())
}

fn is_normal(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|component| !matches!(component, "" | "." | ".."))
}

fn require(holds: bool, field: impl FnOnce() -> String, found: impl Debug, rule: &'static str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::Invalid { field: field(), found: format!("{found:?}"), rule })
}

const NO_NUL: &str = "a string that the guest sees holds no NUL";
