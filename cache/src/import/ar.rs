//! The members of a `.deb`: an `ar` archive of at most a few. It only checks the outer frame; `debpkg` reads the
//! members, from a stream that holds exactly what this let through.

use std::io::{self, Read, Seek, SeekFrom};

/// Where one member lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Offset of its header.
    pub(super) header: u64,
    /// Bytes of its content, without padding.
    pub(super) size: u64,
}

/// What is wrong with the frame of a package.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It does not start as an `ar` archive.
    #[error("it is no Debian package")]
    Magic,
    /// A member header that cannot be read, or a member that is cut off.
    #[error("the member header at byte {0} is damaged")]
    Header(u64),
    /// Members other than `debian-binary`, `control.tar*`, `data.tar*` in this order.
    #[error(
        "its members are {0}; expected `debian-binary`, `control.tar…`, `data.tar…` and nothing after them"
    )]
    Members(String),
}

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_BYTES: usize = 60;
const HEADER: u64 = HEADER_BYTES as u64;

/// The three members that count, in order; members whose name begins with `_` are skipped, as dpkg does.
pub(super) fn scan(file: &mut (impl Read + Seek)) -> Result<[Member; 3], FrameError> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(FrameError::Magic);
    }
    let mut members = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < length {
        let member = read_header(file, at)?;
        let end = at.saturating_add(HEADER).saturating_add(member.size);
        if end > length {
            return Err(FrameError::Header(at));
        }
        at = end.saturating_add(end % 2);
        file.seek(SeekFrom::Start(at))?;
        if !member.name.starts_with('_') {
            members.push(member);
        }
        if members.len() > 3 {
            break;
        }
    }
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let right = matches!(
        names.as_slice(),
        ["debian-binary", control, data]
            if control.starts_with("control.tar") && data.starts_with("data.tar")
    );
    let shown = || names.join(", ").chars().take(200).collect();
    if !right {
        return Err(FrameError::Members(shown()));
    }
    let shown: String = shown();
    members
        .try_into()
        .map_err(|_wrong_number| FrameError::Members(shown))
}

fn read_header(file: &mut impl Read, at: u64) -> Result<Member, FrameError> {
    let damaged = || FrameError::Header(at);
    let mut header = [0_u8; HEADER_BYTES];
    file.read_exact(&mut header).map_err(|_cut_off| damaged())?;
    let text = std::str::from_utf8(&header).map_err(|_not_text| damaged())?;
    if !text.ends_with("`\n") {
        return Err(damaged());
    }
    let field = |range: std::ops::Range<usize>| text.get(range).map(str::trim_end);
    let name = field(0..16).ok_or_else(damaged)?;
    let digits = field(48..58).ok_or_else(damaged)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(damaged());
    }
    let size = digits.parse().map_err(|_overflow| damaged())?;
    let name = name.strip_suffix('/').unwrap_or(name).to_owned();
    Ok(Member {
        name,
        header: at,
        size,
    })
}

/// Only the given members of an archive, as an archive of its own, in constant memory.
pub(super) struct MemberStream<F> {
    file: F,
    /// Pieces still to come, last first: offset and length.
    pieces: Vec<(u64, u64)>,
    prefix: &'static [u8],
}

impl<F: Read + Seek> MemberStream<F> {
    pub(super) fn new(file: F, members: &[Member; 3]) -> Self {
        let pieces = members
            .iter()
            .rev()
            .map(|member| {
                let length = HEADER.saturating_add(member.size);
                (member.header, length.saturating_add(length % 2))
            })
            .collect();
        Self {
            file,
            pieces,
            prefix: MAGIC,
        }
    }
}

impl<F: Read + Seek> Read for MemberStream<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.prefix.is_empty() {
            return self.prefix.read(buffer);
        }
        while let Some((offset, left)) = self.pieces.last_mut() {
            if *left == 0 {
                self.pieces.pop();
                continue;
            }
            let most = usize::try_from(*left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let buffer = buffer.get_mut(..most).unwrap_or_default();
            self.file.seek(SeekFrom::Start(*offset))?;
            let read = self.file.read(buffer)?;
            if read == 0 {
                // The padding byte of the last member may be missing.
                self.pieces.pop();
                continue;
            }
            *offset = offset.saturating_add(read as u64);
            *left = left.saturating_sub(read as u64);
            return Ok(read);
        }
        Ok(0)
    }
}
