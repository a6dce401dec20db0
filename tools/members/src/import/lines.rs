//! A file as batches of lines, with their numbers and places. A record is one line, so that nothing that is wrong
//! with one reaches another.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::error::Error;

/// The longest line that is looked at; a member's has some hundred bytes.
pub const MAX_LINE_BYTES: u64 = 64 * 1024;

/// A line.
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// What it says, without its end; cut to [`MAX_LINE_BYTES`].
    pub bytes: Vec<u8>,
    /// Whether it was cut.
    pub is_cut: bool,
}

/// Lines that are handled together.
pub struct Batch {
    /// The lines that are not blank.
    pub lines: Vec<Line>,
    /// Where the next batch begins.
    pub end: u64,
    /// The number of the last line before that, blank or not.
    pub last_number: u64,
}

/// The lines of a file that are still to be read.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    length: u64,
    modified: Option<Duration>,
    offset: u64,
    number: u64,
}

impl Lines {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fault = |reason| Error::File { path: path.to_owned(), reason };
        let file = File::open(path).map_err(fault)?;
        let metadata = file.metadata().map_err(fault)?;
        if !metadata.is_file() {
            let path = path.display();
            return Err(Error::Usage(format!("{path} is no file that can be gone on with after Ctrl-C")));
        }
        let since_1970 = |modified: SystemTime| modified.duration_since(UNIX_EPOCH).ok();
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::new(file),
            length: metadata.len(),
            modified: metadata.modified().ok().and_then(since_1970),
            offset: 0,
            number: 0,
        })
    }

    /// The file's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// When the file was last written, since 1970, where the system tells.
    pub fn modified(&self) -> Option<Duration> {
        self.modified
    }

    /// Where the next line begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of the last line that was read.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Goes on at a place.
    pub fn skip_to(&mut self, offset: u64, number: u64) -> Result<(), Error> {
        let sought = self.reader.seek(SeekFrom::Start(offset));
        sought.map_err(|reason| self.fault(reason))?;
        (self.offset, self.number) = (offset, number);
        Ok(())
    }

    /// The next line, blank or not.
    pub fn line(&mut self) -> Result<Option<Line>, Error> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
        let mut length = read.map_err(|reason| self.fault(reason))? as u64;
        if length == 0 {
            return Ok(None);
        }
        let is_cut = length == MAX_LINE_BYTES && bytes.last() != Some(&b'\n');
        if is_cut {
            let rest = self.reader.skip_until(b'\n');
            length += rest.map_err(|reason| self.fault(reason))? as u64;
        }
        // The mark that some programs begin UTF-8 with.
        if self.offset == 0 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        while bytes.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
            bytes.pop();
        }
        self.offset += length;
        self.number += 1;
        Ok(Some(Line { number: self.number, bytes, is_cut }))
    }

    /// The next batch of up to `size` lines that are not blank.
    pub fn batch(&mut self, size: usize) -> Result<Option<Batch>, Error> {
        let begin = self.offset;
        let mut lines = Vec::with_capacity(size);
        while lines.len() < size {
            let Some(line) = self.line()? else { break };
            if !line.bytes.trim_ascii().is_empty() {
                lines.push(line);
            }
        }
        let batch = Batch { lines, end: self.offset, last_number: self.number };
        Ok((batch.end > begin).then_some(batch))
    }

    fn fault(&self, reason: std::io::Error) -> Error {
        Error::File { path: self.path.clone(), reason }
    }
}
