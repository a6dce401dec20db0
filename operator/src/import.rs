//! `members import`: members of another system, from CSV or JSON lines.
//!
//! A file is read in batches of lines. Each batch is parsed and written on its own, many at once, and their
//! outcomes are taken in the order of the file: the journal always says up to which byte all is done.

mod cores;
mod fields;
mod journal;
mod lines;
mod newcomer;
mod refused;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use shared::{audit::Operation, keys::Keys, password::Memory};

use crate::{error::Error, output, progress, table::Table};
use cores::Cores;
use fields::Format;
use journal::{Counts, Journal};
use lines::{Batch, Line, Lines};
use newcomer::{Fault, Newcomer, Rules};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
    Refused(Fault),
}

/// What an import did.
#[derive(Serialize)]
struct Summary<'a> {
    file: &'a Path,
    dry_run: bool,
    finished: bool,
    #[serde(flatten)]
    counts: &'a Counts,
    errors: Option<&'a Path>,
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
    let journal_path = file.with_added_extension("progress");
    let mut journal = if dry_run { Journal::new(&lines) } else { Journal::resume(&journal_path, &lines)? };
    let resumed = journal.lines > 0;
    if resumed {
        lines.skip_to(journal.offset, journal.line)?;
        eprintln!("going on at line {}", journal.line + 1);
    }
    let mut refused = Refused::new(errors, dry_run, &format, journal.errors_length)?;
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
    let cores = Cores::default();
    let import = Arc::new(Import { table, keys, rules, format, existing, dry_run, cores });

    let interrupted = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch_interrupt(Arc::clone(&interrupted)));
    let bar = progress_bar(lines.length(), json);
    let (begun, mut kept_at) = (Instant::now(), None::<Instant>);
    let before = journal.lines;
    let stop = Arc::clone(&interrupted);
    let batches = stream::try_unfold(lines, move |mut lines| {
        let stop = stop.load(Ordering::Relaxed);
        async move {
            let batch = if stop { None } else { lines.batch(BATCH)? };
            Ok::<_, Error>(batch.map(|batch| (batch, lines)))
        }
    });
    let mut done = batches
        .map_ok(|batch| {
            let import = Arc::clone(&import);
            async move { import.batch(batch).await }
        })
        .try_buffered(BATCHES)
        .boxed();
    let failed = loop {
        let (batch, outcomes) = match done.try_next().await {
            Ok(Some(done)) => done,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        for (line, (outcome, unverified)) in batch.lines.iter().zip(&outcomes) {
            journal.counts.add(outcome, *unverified);
            if let Outcome::Refused(fault) = outcome {
                if journal.counts.refused <= SHOWN {
                    bar.suspend(|| eprintln!("line {}, {fault}", line.number));
                }
                refused.add(line, fault, &import.format)?;
            }
        }
        journal.advance(&batch);
        let rate = rate(journal.lines - before, begun.elapsed());
        bar.set_position(journal.offset);
        bar.set_message(format!("{} lines, {}/s", HumanCount(journal.lines), HumanCount(rate)));
        if !dry_run && kept_at.is_none_or(|at| at.elapsed() > JOURNAL_INTERVAL) {
            journal.errors_length = refused.flush()?;
            progress::keep(&journal_path, &journal)?;
            kept_at = Some(Instant::now());
        }
    };
    watch.abort();
    drop(done);
    bar.finish_and_clear();
    let finished = failed.is_none() && !interrupted.load(Ordering::Relaxed);
    journal.errors_length = refused.flush()?;
    if finished && !dry_run {
        progress::remove(&journal_path)?;
    } else if !dry_run {
        progress::keep(&journal_path, &journal)?;
    }
    if let Some(error) = failed {
        eprintln!("everything up to line {} is done; the same command goes on from there", journal.line);
        return Err(error);
    }
    let summary = Summary {
        file: &file,
        dry_run,
        finished,
        counts: &journal.counts,
        errors: refused.path(),
        seconds: begun.elapsed().as_secs_f64(),
    };
    report(&summary, rate(journal.lines - before, begun.elapsed()), json)?;
    if !finished && !dry_run {
        let line = journal.line;
        let told = format!("everything up to line {line} is done; the same command goes on from there");
        return Err(Error::Interrupted(told));
    }
    Ok(journal.counts.refused == 0)
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
            writer::foresee(&self.table, parsed, self.existing).await?
        } else {
            writer::write(&self.table, parsed, self.existing).await?
        };
        Ok((batch, outcomes.into_iter().zip(unverified).collect()))
    }

    fn parse(&self, line: &Line, memory: &mut Memory) -> Result<Newcomer, Fault> {
        Newcomer::read(&self.format.fields(line)?, &self.rules, &self.keys, memory)
    }
}

async fn watch_interrupt(interrupted: Arc<AtomicBool>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        interrupted.store(true, Ordering::Relaxed);
    }
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
    println!(
        "{imported} {would}imported, {updated} {would}updated, {skipped} {would}skipped, {refused} refused"
    );
    if *unverified > 0 {
        println!("mail addresses {would}left out, since they are not verified: {unverified}");
    }
    if let Some(errors) = summary.errors.filter(|_| *refused > 0) {
        println!("the refused lines are in {}; corrected, they can be imported", errors.display());
    }
    println!("{rate} lines a second");
    Ok(())
}
