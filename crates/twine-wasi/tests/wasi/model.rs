//! Path resolution against a model that does it the slow way: on whole paths, as text, one link at a time.

use std::collections::BTreeMap;

use crate::guest::*;

/// xorshift64*: enough for tests, and reproducible.
pub struct Random(u64);

impl Random {
    /// From `TWINE_TEST_SEED` or the clock; the seed is printed, and shown when the test fails.
    pub fn seeded() -> Random {
        let now =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var("TWINE_TEST_SEED").ok().map_or_else(now, |seed| seed.parse().unwrap());
        println!("TWINE_TEST_SEED={seed}");
        Random(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Small numbers, pointers, borders, noise.
    pub fn number(&mut self) -> u64 {
        match self.below(8) {
            0..=2 => self.below(8),
            3 => self.below(64) * 8,
            4 => self.below(1 << 18),
            5 => (1 << self.below(64)) - self.below(2),
            6 => (4 << 16) - self.below(80),
            _ => self.next(),
        }
    }
}

#[derive(Clone)]
enum Node {
    File(u64),
    Directory,
    Link(String),
}

/// Everything by its absolute path; the root is the empty list.
type Tree = BTreeMap<Vec<String>, Node>;

/// Where `path` leads from `base`, which is the ceiling.
fn walk(
    tree: &Tree,
    base: &[String],
    path: &str,
    follow: bool,
    links: &mut u32,
) -> std::result::Result<Vec<String>, Errno> {
    let slash = path.ends_with('/');
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut at = base.to_vec();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        match *part {
            "." => {}
            ".." if at.len() == base.len() => return Err(PERM),
            ".." => drop(at.pop()),
            name => {
                let mut here = at.clone();
                here.push(name.to_owned());
                match tree.get(&here) {
                    None => return Err(NOENT),
                    Some(Node::Link(target)) if !last || follow || slash => {
                        *links += 1;
                        if *links > 40 {
                            return Err(LOOP);
                        }
                        // The rest of the walk goes through the target: ceiling and all as one longer path.
                        let above: String = at[base.len()..].iter().map(|part| format!("{part}/")).collect();
                        let rest = parts[index + 1..].join("/");
                        let tail = if last && !slash { String::new() } else { format!("/{rest}") };
                        let tail = if slash && !last { format!("{tail}/") } else { tail };
                        return walk(tree, base, &format!("{above}{target}{tail}"), follow, links);
                    }
                    Some(Node::Directory) => at = here,
                    Some(_) if last && !slash => return Ok(here),
                    Some(_) => return Err(NOTDIR),
                }
            }
        }
    }
    Ok(at)
}

fn some_path(random: &mut Random, names: &[&str]) -> String {
    let parts: Vec<&str> = (0..=random.below(5)).map(|_| *random.pick(names)).collect();
    let glue = *random.pick(&["/", "/", "/", "//", "/./"]);
    let end = *random.pick(&["", "", "", "/", "//", "/."]);
    parts.join(glue) + end
}

#[test]
fn resolution_agrees_with_the_model() {
    let names = ["a", "b", "c", "d", "e", "..", "."];
    let mut random = Random::seeded();
    let mut outcomes = BTreeMap::new();
    for _ in 0..40 {
        let mut guest = Guest::new();
        let mut tree = Tree::from([(Vec::new(), Node::Directory)]);
        for size in 1..40 {
            let directories: Vec<Vec<String>> = tree
                .iter()
                .filter(|(_, node)| matches!(node, Node::Directory))
                .map(|(path, _)| path.clone())
                .collect();
            let mut path = random.pick(&directories).clone();
            path.push((*random.pick(&names[..5])).to_owned());
            if tree.contains_key(&path) {
                continue;
            }
            let text = path.join("/");
            let node = match random.below(4) {
                0 => {
                    guest.file(&text, &vec![1; size as usize]);
                    Node::File(size)
                }
                1 => {
                    let target = some_path(&mut random, &names);
                    guest.symlink(&target, ROOT, &text).unwrap();
                    Node::Link(target)
                }
                _ => {
                    guest.mkdir(ROOT, &text).unwrap();
                    Node::Directory
                }
            };
            tree.insert(path, node);
        }
        for _ in 0..400 {
            let path = some_path(&mut random, &names);
            let follow = random.below(2) == 0;
            let expected = walk(&tree, &[], &path, follow, &mut 0).map(|at| match &tree[&at] {
                Node::File(size) => (4, *size),
                Node::Directory => (3, 0),
                Node::Link(target) => (7, target.len() as u64),
            });
            let found = guest.stat(ROOT, follow.into(), &path).map(|stat| (stat.filetype, stat.size));
            assert_eq!(found, expected, "{path} follow={follow}");
            *outcomes
                .entry(expected.map_or_else(|errno| errno.0, |(filetype, _)| filetype.into()))
                .or_insert(0) += 1;
        }
    }
    assert_eq!(outcomes.len(), 7, "files, directories, links, NOENT, NOTDIR, PERM, LOOP: {outcomes:?}");
}
