//! Bounded views of what a command writes: its lines as they come, the last of them, and the beginning of its stdout.

use super::{OutputReporter, Stream};
use std::collections::VecDeque;

/// Longer lines are reported in pieces.
const LINE_BYTES: usize = 8 << 10;

/// How much of the end is kept.
const TAIL_BYTES: usize = 64 << 10;

/// Takes the output of one command. Memory stays below 64 KiB for the tail, 16 KiB for open lines, and the limit for
/// standard output, whatever the command writes.
#[derive(Debug)]
pub(crate) struct Output {
    open_lines: [Vec<u8>; 2],
    tail: VecDeque<u8>,
    stdout: Vec<u8>,
    stdout_limit: usize,
    truncated: bool,
}

impl Output {
    pub(crate) const fn new(stdout_limit: usize) -> Self {
        Self {
            open_lines: [Vec::new(), Vec::new()],
            tail: VecDeque::new(),
            stdout: Vec::new(),
            stdout_limit,
            truncated: false,
        }
    }

    /// Takes what came on one stream.
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8], reporter: &dyn OutputReporter) {
        if stream == Stream::Stdout {
            let room = self.stdout_limit.saturating_sub(self.stdout.len());
            self.truncated |= bytes.len() > room;
            self.stdout.extend(bytes.iter().take(room));
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let mut rest = piece;
            while !rest.is_empty() {
                let line = &mut self.open_lines[stream as usize];
                let fits = rest.len().min(LINE_BYTES - line.len());
                line.extend_from_slice(&rest[..fits]);
                rest = &rest[fits..];
                if line.len() == LINE_BYTES || line.ends_with(b"\n") {
                    self.close_line(stream, reporter);
                }
            }
        }
    }

    /// Reports lines that did not end, and gives the tail, the standard output, and whether that is cut.
    pub(crate) fn finish(mut self, reporter: &dyn OutputReporter) -> (Vec<u8>, Vec<u8>, bool) {
        self.close_line(Stream::Stdout, reporter);
        self.close_line(Stream::Stderr, reporter);
        (self.tail.into(), self.stdout, self.truncated)
    }

    fn close_line(&mut self, stream: Stream, reporter: &dyn OutputReporter) {
        let line = &mut self.open_lines[stream as usize];
        if line.is_empty() {
            return;
        }
        reporter.line(stream, line.strip_suffix(b"\n").unwrap_or(line));
        self.tail.extend(line.iter());
        line.clear();
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Default)]
    struct Lines(RefCell<Vec<String>>);

    impl OutputReporter for Lines {
        fn line(&self, stream: Stream, line: &[u8]) {
            let text = String::from_utf8_lossy(line);
            self.0.borrow_mut().push(format!("{stream:?} {text}"));
        }
    }

    #[test]
    fn lines_of_two_streams_do_not_mix() {
        let lines = Lines::default();
        let mut output = Output::new(4);
        output.take(Stream::Stdout, b"one\ntw", &lines);
        output.take(Stream::Stderr, b"bad\n", &lines);
        output.take(Stream::Stdout, b"o\nend", &lines);
        let (tail, stdout, truncated) = output.finish(&lines);
        assert_eq!(
            lines.0.into_inner(),
            ["Stdout one", "Stderr bad", "Stdout two", "Stdout end"]
        );
        assert_eq!(tail, b"one\nbad\ntwo\nend");
        assert_eq!((stdout.as_slice(), truncated), (&b"one\n"[..], true));
    }

    #[test]
    fn memory_is_bounded_without_a_newline() {
        let mut output = Output::new(10);
        for _ in 0..100 {
            output.take(Stream::Stdout, &[b'x'; 10_000], &());
        }
        assert!(output.open_lines[0].len() <= LINE_BYTES);
        let (tail, stdout, _) = output.finish(&());
        assert_eq!((tail.len(), stdout.len()), (TAIL_BYTES, 10));
    }
}
