//! The file of refused lines, each with its error, in the format that they came in.

use std::{
    fs::{self, File},
    io::{BufWriter, ErrorKind, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{field_error::FieldError, fields::Format, lines::Line};
use crate::{error::Error, private};

/// The file, which is there once a line was refused.
pub struct Refused {
    path: PathBuf,
    is_dry: bool,
    file: Option<BufWriter<File>>,
}

impl Refused {
    /// A new file, which must not be there: it may have lines that somebody corrects.
    pub fn new(path: PathBuf, is_dry: bool) -> Result<Self, Error> {
        if !is_dry && path.exists() {
            let path = path.display();
            return Err(Error::Usage(format!(
                "{path} is there from an earlier run: import it or delete it, or name another by --errors"
            )));
        }
        Ok(Self { path, is_dry, file: None })
    }

    /// The file of an earlier run, which goes on at `length`, where nobody touched it since.
    pub fn resumed(path: PathBuf, format: &Format, length: u64) -> Result<Self, Error> {
        let mut refused = Self { path, is_dry: false, file: None };
        match fs::metadata(&refused.path) {
            Ok(file) if length > 0 && file.len() == length => {
                refused.begin(format, length)?;
            }
            Ok(_) if length > 0 => {
                let path = refused.path.display();
                return Err(Error::Usage(format!(
                    "{path} was changed since the run that is gone on with: move it away first"
                )));
            }
            // What a run wrote before its first journal is written again.
            Ok(_) => {}
            Err(reason) if reason.kind() == ErrorKind::NotFound => {}
            Err(reason) => return Err(Error::File { path: refused.path, reason }),
        }
        Ok(refused)
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.is_some().then_some(&*self.path)
    }

    /// Adds a line.
    pub fn add(&mut self, line: &Line, fault: &FieldError, format: &Format) -> Result<(), Error> {
        if self.is_dry {
            return Ok(());
        }
        let text = format.refused(line, fault)?;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.begin(format, 0)?,
        };
        let written = file.write_all(&text);
        written.map_err(|reason| Error::File { path: self.path.clone(), reason })
    }

    /// Writes out what is buffered, and answers the file's length.
    pub fn flush(&mut self) -> Result<u64, Error> {
        let Some(file) = &mut self.file else { return Ok(0) };
        let length = file.flush().and_then(|()| file.stream_position());
        length.map_err(|reason| Error::File { path: self.path.clone(), reason })
    }

    /// The lines have hashes and contacts: they are for their owner alone.
    fn begin(&mut self, format: &Format, length: u64) -> Result<&mut BufWriter<File>, Error> {
        let mut options = private::options();
        options.create(true).truncate(length == 0);
        let head = if length == 0 { format.head()? } else { Vec::new() };
        let opened = options.open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(length))?;
            file.write_all(&head)?;
            Ok(file)
        });
        let file = opened.map_err(|reason| Error::File { path: self.path.clone(), reason })?;
        Ok(self.file.insert(BufWriter::new(file)))
    }
}
