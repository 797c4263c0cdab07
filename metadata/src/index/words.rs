//! What many packages say and an index holds once: names, all other texts, architectures.

use super::interner::Interner;

/// Texts by number, while an index is built.
#[derive(Debug)]
pub(super) struct Words {
    /// Names of packages, of what they provide and ask for, and paths: what is looked up.
    pub(super) names: Interner,
    /// All other texts. Number 0 is empty.
    pub(super) texts: Interner,
    /// Numbers of the texts of architectures. Number 0 is empty.
    pub(super) arches: Vec<u32>,
}

impl Default for Words {
    fn default() -> Self {
        let mut words = Self {
            names: Interner::default(),
            texts: Interner::default(),
            arches: Vec::new(),
        };
        // The first of all texts always fits.
        let _ = words.arch("");
        words
    }
}

impl Words {
    /// The number of a name; `None` when the numbers are used up.
    pub(super) fn name(&mut self, name: &str) -> Option<u32> {
        Some(self.names.intern(name)?.0)
    }

    /// The number of any other text; `None` when the numbers are used up.
    pub(super) fn text(&mut self, text: &str) -> Option<u32> {
        Some(self.texts.intern(text)?.0)
    }

    /// The number of an architecture. A byte, for no distribution has more than two dozen; `None` beyond.
    pub(super) fn arch(&mut self, arch: &str) -> Option<u8> {
        let text = self.text(arch)?;
        let known = self.arches.iter().position(|known| *known == text);
        let number = u8::try_from(known.unwrap_or(self.arches.len())).ok()?;
        if known.is_none() {
            self.arches.push(text);
        }
        Some(number)
    }
}
