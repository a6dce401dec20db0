//! The rejects file: the lines that were rejected, each with its error, in the format of the input.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{field_error::FieldError, format::Format, lines::Line};
use crate::{error::Error, private_file};

/// The rejects file. It is created when the first line is rejected.
pub struct RejectsFile {
    path: PathBuf,
    is_dry: bool,
    /// Whether the file of an interrupted run is written again.
    is_replaced: bool,
    file: Option<BufWriter<File>>,
}

impl RejectsFile {
    /// Prepares a new file. Fails if it exists, since it may contain corrections.
    pub fn new(path: PathBuf, is_dry: bool) -> Result<Self, Error> {
        if !is_dry && fs::symlink_metadata(&path).is_ok() {
            let path = path.display();
            return Err(Error::Usage(format!(
                "{path} already exists; import or delete it, or choose another file with --errors"
            )));
        }
        Ok(Self { path, is_dry, is_replaced: false, file: None })
    }

    /// Continues the file of an interrupted run at `length`. Fails if the file was modified since.
    pub fn resume(path: PathBuf, format: &Format, length: u64) -> Result<Self, Error> {
        let mut rejects = Self { path, is_dry: false, is_replaced: length == 0, file: None };
        match fs::symlink_metadata(&rejects.path) {
            Ok(file) if length > 0 && file.is_file() && file.len() == length => {
                rejects.open(format, length)?;
            }
            Ok(_) if length > 0 => {
                let path = rejects.path.display();
                return Err(Error::Usage(format!(
                    "{path} has changed since the run being resumed; move it aside first"
                )));
            }
            // The run had written rejected lines but no checkpoint: they are rejected and written again.
            Ok(_) => {}
            Err(reason) if reason.kind() == ErrorKind::NotFound => {}
            Err(reason) => return Err(Error::File { path: rejects.path, reason }),
        }
        Ok(rejects)
    }

    /// Returns the path, if the file was created.
    pub fn path(&self) -> Option<&Path> {
        self.file.is_some().then_some(&*self.path)
    }

    /// Adds a rejected line. Does nothing in a dry run.
    pub fn add(&mut self, line: &Line, error: &FieldError, format: &Format) -> Result<(), Error> {
        if self.is_dry {
            return Ok(());
        }
        let text = format.rejected_line(line, error)?;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.open(format, 0)?,
        };
        let written = file.write_all(&text);
        written.map_err(|reason| Error::File { path: self.path.clone(), reason })
    }

    /// Flushes the buffer. Returns the file's length.
    pub fn flush(&mut self) -> Result<u64, Error> {
        let Some(file) = &mut self.file else { return Ok(0) };
        let length = file.flush().and_then(|()| file.stream_position());
        length.map_err(|reason| Error::File { path: self.path.clone(), reason })
    }

    fn create(&self) -> io::Result<File> {
        if self.is_replaced {
            private_file::remove(&self.path)?;
        }
        private_file::create_new(&self.path)
    }

    /// Opens the file for writing at `length`, and writes the header at 0.
    fn open(&mut self, format: &Format, length: u64) -> Result<&mut BufWriter<File>, Error> {
        let opened = if length == 0 {
            let header = format.rejects_header()?;
            self.create().and_then(|mut file| file.write_all(&header).map(|()| file))
        } else {
            private_file::open(&self.path)
                .and_then(|mut file| file.seek(SeekFrom::Start(length)).map(|_| file))
        };
        let file = opened.map_err(|reason| Error::File { path: self.path.clone(), reason })?;
        Ok(self.file.insert(BufWriter::new(file)))
    }
}
