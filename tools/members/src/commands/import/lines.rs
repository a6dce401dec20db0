//! A file as batches of lines, with their numbers and offsets. Every record is one line, so that a malformed record
//! cannot affect the next one.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::error::Error;

/// The longest line that is parsed. The line of a member has a few hundred bytes.
pub const MAX_LINE_BYTES: u64 = 64 * 1024;

/// A line of the file.
pub struct Line {
    /// Its number, beginning with 1.
    pub number: u64,
    /// Its content without the line ending, truncated to [`MAX_LINE_BYTES`].
    pub bytes: Vec<u8>,
    /// Whether it was truncated.
    pub is_truncated: bool,
}

/// Lines that are parsed and written together.
pub struct Batch {
    /// The lines that are not blank.
    pub lines: Vec<Line>,
    /// The offset at which the next batch begins.
    pub end: u64,
    /// The number of the last line before that offset. Blank lines are counted.
    pub last_number: u64,
}

/// Reads a file line by line.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    length: u64,
    modified: Option<Duration>,
    offset: u64,
    number: u64,
}

impl Lines {
    /// Opens a file. Fails for a pipe, which an interrupted import could not read again.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let error = |reason| Error::File { path: path.to_owned(), reason };
        let file = File::open(path).map_err(error)?;
        let metadata = file.metadata().map_err(error)?;
        if !metadata.is_file() {
            let path = path.display();
            return Err(Error::Usage(format!(
                "{path} is not a regular file, so the import could not be resumed"
            )));
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

    /// Returns the file's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns when the file was last modified, since 1970, if the operating system records it.
    pub fn modified(&self) -> Option<Duration> {
        self.modified
    }

    /// Returns the offset at which the next line begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the number of the last line that was read.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Continues at an offset, after the line with that number.
    pub fn skip_to(&mut self, offset: u64, number: u64) -> Result<(), Error> {
        let sought = self.reader.seek(SeekFrom::Start(offset));
        sought.map_err(|reason| self.error(reason))?;
        (self.offset, self.number) = (offset, number);
        Ok(())
    }

    /// Reads the next line, which may be blank. Returns `None` at the end of the file.
    pub fn line(&mut self) -> Result<Option<Line>, Error> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
        let mut length = read.map_err(|reason| self.error(reason))? as u64;
        if length == 0 {
            return Ok(None);
        }
        let is_truncated = length == MAX_LINE_BYTES && bytes.last() != Some(&b'\n');
        if is_truncated {
            let rest = self.reader.skip_until(b'\n');
            length += rest.map_err(|reason| self.error(reason))? as u64;
        }
        // Some programs begin UTF-8 with a byte order mark.
        if self.offset == 0 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        while bytes.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
            bytes.pop();
        }
        self.offset += length;
        self.number += 1;
        Ok(Some(Line { number: self.number, bytes, is_truncated }))
    }

    /// Reads a batch of up to `size` lines, without the blank ones. Returns `None` at the end of the file.
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

    fn error(&self, reason: std::io::Error) -> Error {
        Error::File { path: self.path.clone(), reason }
    }
}
