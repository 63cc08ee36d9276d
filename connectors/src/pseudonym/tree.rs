//! A key of which single persons can be cut out: key shredding, one person at a time.
//!
//! With one key for all, whoever has it and a CPR number finds that person's events for ever. Here each person has a key of their
//! own, and all of them follow from one root, so that nothing has to be stored for each person and every connector that has
//! the root comes to the same keys. The keys are the leaves of a binary tree over all CPR numbers, read as numbers of 34 bits;
//! a node's children are HMAC-SHA256(node, 0) and HMAC-SHA256(node, 1). This is a puncturable pseudorandom function (Goldreich,
//! Goldwasser and Micali, 1986; punctured as by Boneh and Waters, 2013): to erase a person, the node above the person's leaf
//! is taken away and the nodes beside the way down are kept. All other keys still follow; the erased one follows from nothing
//! that is left, also not with the CPR number in hand.
//!
//! The file is text: `rettidig key tree 1`, a line `id`, a line `erased`, a line for each node: its bits from the root on (`-` for the
//! root itself) and its 32 bytes in hex; then a line `sha256` over all before it. A person erased adds up to 34 nodes, 3 KiB.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Cpr, KeyError, key_id};

/// What a file with such a key opens with.
const OPENING: &str = "rettidig key tree 1";

/// Bits of a CPR number: the largest is 9 999 999 999.
const BITS: u32 = 34;

/// Bytes of a node.
pub const NODE_BYTES: usize = 32;

type Node = Zeroizing<[u8; NODE_BYTES]>;

/// What is left of the tree: nodes of which none stands below another.
#[derive(Clone)]
pub(super) struct KeyTree {
    key_id: String,
    erased: u64,
    /// By the smallest number below it; with it the number of its bits.
    nodes: BTreeMap<u64, (u32, Node)>,
}

/// What its last line begins with.
const SUM: &str = "sha256 ";

fn sum(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Whether bytes are meant to be such a key.
pub(super) fn is_tree(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(OPENING.as_bytes());
    rest.is_some_and(|rest| rest.first().is_none_or(|byte| matches!(byte, b'\r' | b'\n')))
}

/// Whether bytes that are no such key look like one that was damaged or is of another version.
pub(super) fn mentions_tree(bytes: &[u8]) -> bool {
    let words = b"rettidig key tree";
    bytes.windows(words.len()).any(|window| window.eq_ignore_ascii_case(words))
}

fn number(cpr: &Cpr) -> u64 {
    cpr.digits().iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

fn child(node: &Node, bit: u64) -> Node {
    let mut child = Zeroizing::new([0; NODE_BYTES]);
    // HMAC takes keys of any length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(node.as_slice()) {
        mac.update(&[u8::from(bit == 1)]);
        child.copy_from_slice(&mac.finalize().into_bytes());
    }
    child
}

/// The bit of a number that tells which way to go from a node of so many bits.
fn bit(number: u64, bits: u32) -> u64 {
    (number >> (BITS - 1 - bits)) & 1
}

impl KeyTree {
    /// The whole tree of a root.
    pub(super) fn of_root(root: Node) -> Self {
        let key_id = key_id(root.as_slice());
        Self { key_id, erased: 0, nodes: BTreeMap::from([(0, (0, root))]) }
    }

    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(super) fn erased(&self) -> u64 {
        self.erased
    }

    /// Where the node above a number stands; `None` if it was taken away.
    fn above(&self, number: u64) -> Option<(u64, u32)> {
        let (first, (bits, _)) = self.nodes.range(..=number).next_back()?;
        (number - first < 1 << (BITS - bits)).then_some((*first, *bits))
    }

    /// A person's key; `None` if the person was erased.
    pub(super) fn key_of(&self, cpr: &Cpr) -> Option<Node> {
        let number = number(cpr);
        let (first, bits) = self.above(number)?;
        let (_, node) = self.nodes.get(&first)?;
        Some((bits..BITS).fold(node.clone(), |node, bits| child(&node, bit(number, bits))))
    }

    /// Takes a person's key out; whether it was there.
    pub(super) fn erase(&mut self, cpr: &Cpr) -> bool {
        let number = number(cpr);
        let Some((mut first, bits)) = self.above(number) else { return false };
        let Some((_, mut node)) = self.nodes.remove(&first) else { return false };
        for bits in bits..BITS {
            let (way, half) = (bit(number, bits), 1 << (BITS - 1 - bits));
            let beside = first + if way == 1 { 0 } else { half };
            self.nodes.insert(beside, (bits + 1, child(&node, 1 - way)));
            node = child(&node, way);
            first += way * half;
        }
        self.erased += 1;
        true
    }

    /// The file's text.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(96 + self.nodes.len() * 102));
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{OPENING}\nid {}\nerased {}", self.key_id, self.erased);
        for (first, (bits, node)) in &self.nodes {
            if *bits == 0 {
                text.push('-');
            }
            (0..*bits).for_each(|place| text.push(if bit(*first, place) == 1 { '1' } else { '0' }));
            text.push(' ');
            for byte in node.iter() {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        let sum = sum(&text);
        let _ = writeln!(text, "{SUM}{sum}");
        text
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// If it is no such file as [`KeyTree::to_text`] writes, or was cut off; the error names the line, not what stands there.
    pub(super) fn from_text(text: &str) -> Result<Self, KeyError> {
        let broken =
            |line: usize, expected: &str| KeyError::Tree { line: line + 1, expected: expected.to_owned() };
        let last = text.trim_end().rfind('\n').map_or(0, |end| end + 1);
        let (text, told) = text.split_at(last);
        let is_whole = told.strip_prefix(SUM).is_some_and(|told| told.trim_end() == sum(text));
        let mut lines = text.lines().enumerate();
        let mut value = |name: &str| {
            let (number, line) = lines.next().unwrap_or_default();
            let value = line.strip_prefix(name).map(str::trim);
            value.map(str::to_owned).ok_or_else(|| broken(number, &format!("expected {name:?}")))
        };
        value(OPENING)?;
        let key_id = value("id ")?;
        if key_id.len() != 8 || !key_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(broken(1, "expected eight hex digits after \"id \""));
        }
        let erased =
            value("erased ")?.parse().map_err(|_| broken(2, "expected a number after \"erased \""))?;
        let mut nodes = BTreeMap::new();
        let mut free = 0;
        for (number, line) in lines {
            let expected = "expected the bits of a node and 64 hex digits, in the order of the numbers";
            let fail = || broken(number, expected);
            let (path, hex) = line.split_once(' ').ok_or_else(fail)?;
            let path = if path == "-" { "" } else { path };
            let bits = u32::try_from(path.len()).ok().filter(|bits| *bits <= BITS).ok_or_else(fail)?;
            let first = match path {
                "" => 0,
                path => u64::from_str_radix(path, 2).map_err(|_| fail())? << (BITS - bits),
            };
            let mut node: Node = Zeroizing::new([0; NODE_BYTES]);
            hex::decode_to_slice(hex, node.as_mut_slice()).map_err(|_| fail())?;
            if first < free {
                return Err(fail());
            }
            free = first + (1 << (BITS - bits));
            nodes.insert(first, (bits, node));
        }
        let tree = Self { key_id, erased, nodes };
        // Of a file that was cut off, whoever stands in what is missing would count as erased.
        let missing = (1 << BITS) - tree.nodes.values().map(|(bits, _)| 1_u64 << (BITS - bits)).sum::<u64>();
        if missing != tree.erased {
            return Err(broken(2, "the nodes leave out other persons than were erased; is the file whole?"));
        }
        // One digit changed would give many persons another key.
        match is_whole {
            true => Ok(tree),
            false => Err(broken(text.lines().count(), "expected the checksum of all lines before it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree() -> KeyTree {
        KeyTree::of_root(Zeroizing::new(*b"a root of a tree, 32 bytes long!"))
    }

    /// Numbers of nobody: the day has its test offset.
    fn cpr() -> impl Strategy<Value = Cpr> {
        (61_u32..=88, 1_u32..=12, 0_u32..=99, 0_u32..=9999).prop_map(|(day, month, year, serial)| {
            Cpr::parse(&format!("{day:02}{month:02}{year:02}{serial:04}")).expect("a number")
        })
    }

    /// Goal: after any erasures the keys of all others are as they were, those erased follow from nothing, and the file
    /// tells the same tree. Method: every key beside that of the whole tree.
    #[test]
    fn the_keys_of_all_others_stay() {
        proptest!(ProptestConfig::with_cases(40), |(gone in prop::collection::vec(cpr(), 1..12), others in prop::collection::vec(cpr(), 1..12))| {
            let (whole, mut cut) = (tree(), tree());
            let mut numbers = std::collections::BTreeSet::new();
            for cpr in &gone {
                prop_assert_eq!(cut.erase(cpr), numbers.insert(number(cpr)), "only once");
            }
            let read = KeyTree::from_text(&cut.to_text()).expect("a tree");
            prop_assert_eq!((read.key_id(), read.erased()), (whole.key_id(), numbers.len() as u64));
            for cpr in gone.iter().chain(&others) {
                let expected = whole.key_of(cpr).filter(|_| !numbers.contains(&number(cpr)));
                prop_assert_eq!(&cut.key_of(cpr), &expected);
                prop_assert_eq!(&read.key_of(cpr), &expected);
            }
            // Nothing that is left stands above an erased person.
            for number in numbers {
                prop_assert!(cut.above(number).is_none());
            }
        });
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused_with_its_line() {
        let mut tree = tree();
        tree.erase(&Cpr::parse("6101701234").expect("a number"));
        let text = tree.to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3 + 34 + 1);
        let mut other = lines[7].to_owned();
        let digit = if other.pop() == Some('0') { '1' } else { '0' };
        other.push(digit);
        for (broken, line) in [
            (lines[..lines.len() - 1].join("\n"), 3),
            (text.replace(lines[7], &other), 38),
            (text.replace(lines[37], "sha256 0"), 38),
            (text.replace("erased 1", "erased 2"), 3),
            (text.replace("erased 1", "erased"), 3),
            (text.replace("id ", "no "), 2),
            (text.replacen(lines[5], lines[6], 1), 7),
            (text.replacen(lines[5], &lines[5][..lines[5].len() - 1], 1), 6),
        ] {
            let Err(KeyError::Tree { line: found, .. }) = KeyTree::from_text(&broken) else {
                panic!("accepted")
            };
            assert_eq!(found, line);
        }
    }
}
