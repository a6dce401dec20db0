//! `members import`: members of another system, from CSV or JSON lines.
//!
//! A file is read in batches of lines. Each batch is parsed and written on its own, many at once, and their
//! outcomes are taken in the order of the file: the journal always says up to which byte all is done.

mod cores;
mod field_error;
mod fields;
mod journal;
mod lines;
mod newcomer;
mod refused;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{TryStreamExt, stream};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use shared::{audit::Operation, keys::Keys, password::Memory};
use tokio::{sync::watch, task::JoinHandle};

use crate::{error::Error, output, progress, table::Table};
use cores::Cores;
use field_error::FieldError;
use fields::Format;
use journal::{Counts, Journal, Subject};
use lines::{Batch, Line, Lines};
use newcomer::{Newcomer, Rules};
use refused::Refused;

/// Lines of a batch. Each is at most three items, and a transaction takes 100.
const BATCH: usize = 25;

/// Batches under way.
const BATCHES: usize = 32;

/// How often the journal is written after the first batch.
const JOURNAL_INTERVAL: Duration = Duration::from_secs(1);

/// Refused lines that are shown besides being written to the file of errors.
const SHOWN: u64 = 10;

/// What to import, and how.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// CSV with a line of names, or JSON lines where the name ends in .jsonl, .ndjson or .json
    file: PathBuf,
    /// What is done with a member who exists
    #[arg(long, value_enum, default_value_t = Existing::Skip)]
    existing: Existing,
    /// Take a mail address as verified where its line does not say
    #[arg(long)]
    trust_mail: bool,
    /// Make ids that are no UUIDs into UUIDs of this namespace (RFC 9562, version 5)
    #[arg(long, value_name = "UUID")]
    namespace: Option<uuid::Uuid>,
    /// Read and check everything, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Where refused lines go [default: FILE.errors]
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
}

/// What is done with a member who exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Existing {
    /// They stay as they are
    Skip,
    /// They get what their line has
    Update,
}

/// How a line ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The member is new.
    Imported,
    /// The member was there, and has what the line has.
    Updated,
    /// The member was there.
    Skipped,
    /// Nothing was written.
    Refused(FieldError),
}

/// What an import did.
#[derive(Serialize)]
struct Summary<'a> {
    file: String,
    dry_run: bool,
    finished: bool,
    #[serde(flatten)]
    counts: &'a Counts,
    errors: Option<String>,
    seconds: f64,
}

/// What every batch needs.
struct Import {
    table: Table,
    keys: Keys,
    rules: Rules,
    format: Format,
    existing: Existing,
    dry_run: bool,
    cores: Cores,
}

/// Imports.
pub async fn run(arguments: Arguments, table: Table, json: bool) -> Result<bool, Error> {
    let Arguments { file, existing, trust_mail, namespace, dry_run, errors } = arguments;
    let mut lines = Lines::open(&file)?;
    let format = Format::of(&file, &mut lines)?;
    let errors = errors.unwrap_or_else(|| file.with_added_extension("errors"));
    let progress = file.with_added_extension("progress");
    let subject = Subject {
        length: lines.length(),
        modified: lines.modified(),
        table: table.identity().await?,
        errors: errors.display().to_string(),
        existing,
        trust_mail,
        namespace,
    };
    let left = if dry_run { None } else { Journal::left(&progress, &subject)? };
    let (journal, refused) = match left {
        Some(journal) => {
            lines.skip_to(journal.offset, journal.line)?;
            output::note(format_args!("going on at line {}", journal.line + 1));
            let refused = Refused::resumed(errors, &format, journal.errors_length)?;
            (journal, refused)
        }
        None => (Journal::new(subject, &lines), Refused::new(errors, dry_run)?),
    };
    let keys = table.keys().await?;
    let rules = Rules {
        phones: table.settings.phones.clone(),
        passwords: (&table.settings).into(),
        trust_mail,
        namespace,
    };
    if !dry_run {
        table.record(None, Operation::Imported).await?;
    }
    let import = Import { table, keys, rules, format, existing, dry_run, cores: Cores::default() };
    let run = Run {
        import: Arc::new(import),
        journal,
        refused,
        progress,
        bar: progress_bar(lines.length(), json),
        begun: Instant::now(),
    };
    run.finish(&file, lines, json).await
}

/// An import under way.
struct Run {
    import: Arc<Import>,
    journal: Journal,
    refused: Refused,
    progress: PathBuf,
    bar: ProgressBar,
    begun: Instant,
}

impl Run {
    /// Whether every line was taken.
    async fn finish(mut self, file: &Path, lines: Lines, json: bool) -> Result<bool, Error> {
        let (before, length) = (self.journal.lines, lines.length());
        let (interrupts, counting) = interrupts();
        let failed = self.follow(lines, before, interrupts).await;
        counting.abort();
        self.bar.finish_and_clear();
        let is_dry = self.import.dry_run;
        let finished = failed.is_ok() && self.journal.offset >= length;
        self.journal.errors_length = self.refused.flush()?;
        match (is_dry, finished) {
            (true, _) => {}
            (false, true) => progress::remove(&self.progress)?,
            (false, false) => progress::keep(&self.progress, &self.journal)?,
        }
        let line = self.journal.line;
        let told = if is_dry {
            format!("everything up to line {line} was looked at, and nothing was written")
        } else {
            format!("everything up to line {line} is done; the same command goes on from there")
        };
        if let Err(error) = failed {
            output::note(&told);
            return Err(error);
        }
        let summary = Summary {
            file: file.display().to_string(),
            dry_run: is_dry,
            finished,
            counts: &self.journal.counts,
            errors: self.refused.path().map(|path| path.display().to_string()),
            seconds: self.begun.elapsed().as_secs_f64(),
        };
        report(&summary, rate(self.journal.lines - before, self.begun.elapsed()), json)?;
        if finished { Ok(self.journal.counts.refused == 0) } else { Err(Error::Interrupted(told)) }
    }

    /// Goes through the lines until there are no more, or until Ctrl-C; then what is under way is waited for, but for
    /// a second Ctrl-C.
    async fn follow(
        &mut self,
        lines: Lines,
        before: u64,
        mut interrupts: watch::Receiver<u32>,
    ) -> Result<(), Error> {
        let stop = interrupts.clone();
        let batches = stream::try_unfold(lines, move |mut lines| {
            let stop = *stop.borrow() > 0;
            async move {
                let batch = if stop { None } else { lines.batch(BATCH)? };
                Ok::<_, Error>(batch.map(|batch| (batch, lines)))
            }
        });
        let import = Arc::clone(&self.import);
        let done = batches.map_ok(|batch| Arc::clone(&import).batch(batch)).try_buffered(BATCHES);
        let mut done = std::pin::pin!(done);
        let mut kept_at = None::<Instant>;
        loop {
            let next = tokio::select! {
                next = done.try_next() => next?,
                Ok(_) = interrupts.wait_for(|count| *count > 1) => {
                    return Err(Error::Interrupted("what was under way may be written".to_owned()));
                }
            };
            let Some((batch, outcomes)) = next else { return Ok(()) };
            self.take(&batch, &outcomes)?;
            let rate = rate(self.journal.lines - before, self.begun.elapsed());
            self.bar.set_position(self.journal.offset);
            self.bar.set_message(format!("{} lines, {}/s", HumanCount(self.journal.lines), HumanCount(rate)));
            if !self.import.dry_run && kept_at.is_none_or(|at| at.elapsed() > JOURNAL_INTERVAL) {
                self.journal.errors_length = self.refused.flush()?;
                progress::keep(&self.progress, &self.journal)?;
                kept_at = Some(Instant::now());
            }
        }
    }

    fn take(&mut self, batch: &Batch, outcomes: &[(Outcome, bool)]) -> Result<(), Error> {
        for (line, (outcome, unverified)) in batch.lines.iter().zip(outcomes) {
            self.journal.counts.add(outcome, *unverified);
            if let Outcome::Refused(fault) = outcome {
                if self.journal.counts.refused <= SHOWN {
                    self.bar.suspend(|| output::note(format_args!("line {}, {fault}", line.number)));
                }
                self.refused.add(line, fault, &self.import.format)?;
            }
        }
        self.journal.advance(batch);
        Ok(())
    }
}

impl Import {
    /// Parses a batch and writes it; whether a mail address was left out stands beside each outcome.
    async fn batch(self: Arc<Self>, batch: Batch) -> Result<(Batch, Vec<(Outcome, bool)>), Error> {
        let import = Arc::clone(&self);
        let parse = move |memory: &mut Memory| {
            let parsed: Vec<_> = batch.lines.iter().map(|line| import.parse(line, memory)).collect();
            (batch, parsed)
        };
        let (batch, parsed) = self.cores.run(parse).await?;
        let unverified: Vec<_> =
            parsed.iter().map(|parsed| parsed.as_ref().is_ok_and(|newcomer| newcomer.unverified)).collect();
        let outcomes = if self.dry_run {
            writer::foresee(&self, parsed).await?
        } else {
            writer::write(&self, parsed).await?
        };
        Ok((batch, outcomes.into_iter().zip(unverified).collect()))
    }

    fn parse(&self, line: &Line, memory: &mut Memory) -> Result<Newcomer, FieldError> {
        Newcomer::read(self.format.fields(line)?, &self.rules, &self.keys, memory)
    }
}

/// How often Ctrl-C was pressed, and what counts it.
fn interrupts() -> (watch::Receiver<u32>, JoinHandle<()>) {
    let (count, counted) = watch::channel(0);
    let counting = async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            count.send_modify(|count| *count += 1);
        }
    };
    (counted, tokio::spawn(counting))
}

fn progress_bar(length: u64, json: bool) -> ProgressBar {
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(length) };
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn rate(lines: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    lines.saturating_mul(1_000) / millis
}

fn report(summary: &Summary<'_>, rate: u64, json: bool) -> Result<(), Error> {
    if json {
        return output::json(summary);
    }
    let Counts { imported, updated, skipped, refused, unverified } = summary.counts;
    let would = if summary.dry_run { "would be " } else { "" };
    output::line(format_args!(
        "{imported} {would}imported, {updated} {would}updated, {skipped} {would}skipped, {refused} refused"
    ))?;
    if *unverified > 0 {
        output::line(format_args!(
            "mail addresses {would}left out, since they are not verified: {unverified}"
        ))?;
    }
    if let Some(errors) = summary.errors.as_ref().filter(|_| *refused > 0) {
        output::line(format_args!("the refused lines are in {errors}; corrected, they can be imported"))?;
    }
    output::line(format_args!("{rate} lines a second"))?;
    Ok(())
}
