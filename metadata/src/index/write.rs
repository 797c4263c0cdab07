//! The tables of an index as bytes: into memory, or straight to where they will stay.

use super::tables::Tables;
use super::{FORMAT, HEADER_BYTES, IndexBytes, IndexError, IndexWriteError, MAGIC};
use rkyv::rancor::Failure;
use rkyv::ser::{Positional, Writer};
use rkyv::util::AlignedVec;
use std::io;

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let fields = MAGIC.iter().copied().chain(FORMAT.to_le_bytes());
    for (to, from) in header.iter_mut().zip(fields) {
        *to = from;
    }
    header
}

/// The index in memory.
pub(super) fn to_memory(tables: &Tables) -> Result<IndexBytes, IndexError> {
    let mut bytes = AlignedVec::<16>::new();
    bytes.extend_from_slice(&header());
    let written = rkyv::api::high::to_bytes_in::<_, Failure>(tables, bytes);
    written.map(IndexBytes).ok().ok_or(IndexError::TooLarge)
}

/// Writes the index.
pub(super) fn to_writer(
    tables: &Tables,
    writer: &mut dyn io::Write,
) -> Result<(), IndexWriteError> {
    let mut failure = None;
    let mut sink = Sink {
        writer,
        position: 0,
        failure: &mut failure,
    };
    let written = Writer::<Failure>::write(&mut sink, &header())
        .and_then(|()| rkyv::api::high::to_bytes_in::<_, Failure>(tables, sink).map(|_| ()));
    match (failure, written) {
        (Some(source), _) => Err(IndexWriteError::Write { source }),
        (None, Err(_)) => Err(IndexError::TooLarge.into()),
        (None, Ok(())) => Ok(()),
    }
}

/// Counts bytes and keeps what a writer says, for which the serializer has no room.
struct Sink<'w> {
    writer: &'w mut dyn io::Write,
    position: usize,
    failure: &'w mut Option<io::Error>,
}

impl Positional for Sink<'_> {
    fn pos(&self) -> usize {
        self.position
    }
}

impl Writer<Failure> for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.position = self.position.saturating_add(bytes.len());
        self.writer.write_all(bytes).map_err(|error| {
            *self.failure = Some(error);
            Failure
        })
    }
}
