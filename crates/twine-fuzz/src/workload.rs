//! What a workload is said to be: by the host, in canonical form, and by a person, in a manifest.

use twine_workload::manifest::Config;
use twine_workload::{Candidate, Sha256, Workload};

pub fn workload(bytes: &[u8]) {
    if let Ok(workload) = Workload::from_bytes(bytes) {
        let again = workload.to_bytes().expect("what was accepted can be encoded");
        assert_eq!(again, bytes, "a workload has another encoding");
    }
    if let Ok(candidate) = Candidate::parse(bytes) {
        let id = candidate.config_id();
        let _ = candidate.accept(&id.0, 0);
    }
}

pub fn workload_seeds() -> Vec<Vec<u8>> {
    let plain = Workload::new(Sha256([0xA5; 32]));
    let manifest = manifest_seeds().into_iter().filter_map(|text| {
        let config = Config::parse(core::str::from_utf8(&text).ok()?, "twine.toml", "/nowhere").ok()?;
        config.manifest().ok()?.resolve("/nowhere".as_ref()).ok()?.workload.to_bytes().ok()
    });
    plain.to_bytes().into_iter().chain(manifest).collect()
}

pub fn manifest(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let Ok(config) = Config::parse(text, "twine.toml", "/nowhere") else { return };
    let _ = config.show();
    let Ok(manifest) = config.manifest() else { return };
    if let Ok(resolved) = manifest.resolve("/nowhere".as_ref()) {
        workload(&resolved.workload.to_bytes().expect("a workload of a manifest can be encoded"));
    }
}

pub fn manifest_seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../twine-workload/tests/data/twine.toml").to_vec(),
        include_bytes!("../../../examples/twine.toml").to_vec(),
        b"version = 1\n[workload]\nmodule = \"sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476\"\n".to_vec(),
    ]
}
