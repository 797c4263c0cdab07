//! The headers that rpm keeps in its database: an index of tags and a store of values, without the introduction that
//! headers of package files have. Only what the database needs here: reading a few tags, and changing a number in place.

/// `RPMTAG_INSTALLTIME`.
pub(super) const INSTALL_TIME: u32 = 1008;

/// `RPMTAG_INSTALLTID`: the transaction, by the second it began.
pub(super) const INSTALL_TID: u32 = 1128;

/// One header in place.
pub(super) struct Header<'a>(pub(super) &'a [u8]);

impl<'a> Header<'a> {
    fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Where the values of a tag begin, from the start of the header, and how many there are.
    pub(super) fn place(&self, tag: u32) -> Option<(usize, usize)> {
        let entries = usize::try_from(self.number(0)?).ok()?;
        let store = entries.checked_mul(16)?.checked_add(8)?;
        let found =
            (0..entries.min(0xffff)).find(|entry| self.number(8 + entry * 16) == Some(tag))?;
        let offset = usize::try_from(self.number(8 + found * 16 + 8)?).ok()?;
        let count = usize::try_from(self.number(8 + found * 16 + 12)?).ok()?;
        Some((store.checked_add(offset)?, count))
    }

    /// The first value of a tag that holds a string.
    pub(super) fn text(&self, tag: u32) -> Option<&'a str> {
        let (start, _) = self.place(tag)?;
        let rest = self.0.get(start..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    /// The first value of a tag that holds 32-bit numbers.
    pub(super) fn value(&self, tag: u32) -> Option<u32> {
        self.number(self.place(tag)?.0)
    }

    /// Name, `[epoch:]version-release` and architecture; a `gpg-pubkey` has no architecture.
    pub(super) fn identity(&self) -> Option<(String, String, String)> {
        let (version, release) = (self.text(1001)?, self.text(1002)?);
        let version = match self.value(1003) {
            None | Some(0) => format!("{version}-{release}"),
            Some(epoch) => format!("{epoch}:{version}-{release}"),
        };
        let arch = self.text(1022).unwrap_or_default().to_owned();
        Some((self.text(1000)?.to_owned(), version, arch))
    }
}
