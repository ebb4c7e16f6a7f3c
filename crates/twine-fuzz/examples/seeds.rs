//! Writes the seeds of every target to `FOLDER/NAME/`, where a fuzzer starts from: `seeds fuzz/corpus`.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;

use twine_fuzz::TARGETS;

fn main() -> Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: seeds FOLDER"));
    };
    for target in TARGETS {
        let corpus = folder.join(target.name);
        fs::create_dir_all(&corpus)?;
        for (number, bytes) in (target.seeds)().iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), bytes)?;
        }
    }
    Ok(())
}
