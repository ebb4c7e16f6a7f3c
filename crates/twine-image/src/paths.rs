//! Looks for names of the build machine's folders in an image: they make MRENCLAVE irreproducible and tell who built it.

use crate::layout::Page;
use std::path::{Path, PathBuf};

/// Folders under which only people's own files are.
const PERSONAL: [&str; 2] = ["/home/", "/root/"];
/// Most bytes of a found string that are shown.
const SHOWN: usize = 120;
/// Most leaks that are returned.
const MAX_LEAKS: usize = 20;

/// A path of the build machine in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Offset from the enclave's base.
    pub offset: u64,
    /// The string there.
    pub text: String,
}

/// Finds strings below `folders` (absolute, at least two names deep) or in a personal folder, at most twenty of them.
pub fn find_paths(pages: &[Page], folders: &[PathBuf]) -> Vec<Leak> {
    let mut needles: Vec<&[u8]> = PERSONAL.iter().map(|p| p.as_bytes()).collect();
    // A name such as /src is part of many innocent paths.
    needles.extend(folders.iter().filter(|f| f.components().count() > 2).map(|f| bytes(f)));
    let mut leaks = Vec::new();
    let mut run: &[Page] = pages;
    while let Some(first) = run.first() {
        // Strings may cross pages: look at whole runs of adjacent ones.
        let adjacent =
            run.array_windows().take_while(|[a, b]| a.offset + a.data.len() as u64 == b.offset).count();
        let (now, rest) = run.split_at(adjacent + 1);
        let memory: Vec<u8> = now.iter().flat_map(|page| page.data.as_slice()).copied().collect();
        for (at, window) in
            memory.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| (at, &memory[at..]))
        {
            if needles.iter().any(|needle| window.starts_with(needle)) {
                let text = window.iter().take(SHOWN).take_while(|b| b.is_ascii_graphic());
                let text = String::from_utf8_lossy(&text.copied().collect::<Vec<_>>()).into_owned();
                leaks.push(Leak { offset: first.offset + at as u64, text });
            }
        }
        run = rest;
    }
    leaks.truncate(MAX_LEAKS);
    leaks
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sgx_isa::SecinfoFlags;

    fn page(offset: u64) -> Page {
        Page { offset, flags: SecinfoFlags::R, data: Box::new([0; 4096]) }
    }

    #[test]
    fn finds_paths_also_across_pages_and_nothing_else() {
        let mut pages = vec![page(0), page(0x1000), page(0x3000)];
        let text = b"/build/one/src/lib.rs";
        pages[0].data[4090..].copy_from_slice(&text[..6]);
        pages[1].data[..text.len() - 6].copy_from_slice(&text[6..]);
        pages[2].data[5..12].copy_from_slice(b"/home/x");
        pages[2].data[100..111].copy_from_slice(b"/homes/home");
        let leaks = find_paths(&pages, &["/build/one".into(), "/".into(), "/homes".into()]);
        let found: Vec<_> = leaks.iter().map(|l| (l.offset, l.text.as_str())).collect();
        assert_eq!(found, [(4090, "/build/one/src/lib.rs"), (0x3005, "/home/x")]);
        // A page that is not adjacent continues nothing.
        let mut split = vec![page(0), page(0x2000)];
        split[0].data[4090..].copy_from_slice(&text[..6]);
        split[1].data[..text.len() - 6].copy_from_slice(&text[6..]);
        assert_eq!(find_paths(&split, &["/build/one".into()]), []);
    }
}
