//! Running an import: batches in parallel, the checkpoint, the rejects file and Ctrl-C.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{TryStreamExt, stream};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use shared::password::Memory;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    checkpoint::Checkpoint,
    context::Context,
    create, dry_run,
    lines::{Batch, Lines},
    outcome::Outcome,
    rejects::RejectsFile,
    summary::Summary,
};
use crate::{error::Error, output, progress};

/// Lines per batch. A member has at most three items and one condition, and a transaction takes 100.
const BATCH_LINES: usize = 25;

/// Batches that are processed concurrently.
const CONCURRENT_BATCHES: usize = 32;

/// How often the checkpoint is written. The first batch always writes it.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Rejected lines that are shown, besides being written to the rejects file.
const SHOWN_REJECTS: u64 = 10;

/// The outcome of a line, and whether its email address is left out.
type LineOutcome = (Outcome, bool);

/// An import in progress.
pub struct ImportRun {
    context: Arc<Context>,
    checkpoint: Checkpoint,
    rejects: RejectsFile,
    /// The path of the checkpoint.
    progress: PathBuf,
    bar: ProgressBar,
    started: Instant,
    /// Lines that earlier runs finished.
    lines_before: u64,
}

impl ImportRun {
    /// Starts a run at a checkpoint, of a file of `length` bytes.
    pub fn new(
        context: Context,
        checkpoint: Checkpoint,
        rejects: RejectsFile,
        progress: PathBuf,
        length: u64,
        json: bool,
    ) -> Self {
        Self {
            context: Arc::new(context),
            rejects,
            progress,
            bar: progress_bar(length, json),
            started: Instant::now(),
            lines_before: checkpoint.lines,
            checkpoint,
        }
    }

    /// Imports the remaining lines and prints the summary. Returns whether no line was rejected.
    pub async fn finish(mut self, file: &Path, lines: Lines, json: bool) -> Result<bool, Error> {
        let length = lines.length();
        let (interrupts, counter) = count_interrupts();
        let failed = self.import(lines, interrupts).await;
        counter.abort();
        self.bar.finish_and_clear();
        let is_dry = self.context.dry_run;
        let finished = failed.is_ok() && self.checkpoint.offset >= length;
        self.checkpoint.errors_length = self.rejects.flush()?;
        match (is_dry, finished) {
            (true, _) => {}
            (false, true) => progress::remove(&self.progress)?,
            (false, false) => progress::write(&self.progress, &self.checkpoint)?,
        }
        let line = self.checkpoint.line;
        let reached = if is_dry {
            format!("checked all lines up to line {line}; nothing was written")
        } else {
            format!("all lines up to line {line} are done; run the same command again to resume")
        };
        if let Err(error) = failed {
            output::note(&reached);
            return Err(error);
        }
        let summary = Summary {
            file: file.display().to_string(),
            dry_run: is_dry,
            finished,
            counts: &self.checkpoint.counts,
            errors: self.rejects.path().map(|path| path.display().to_string()),
            seconds: self.started.elapsed().as_secs_f64(),
        };
        summary.print(self.lines_per_second(), json)?;
        if finished { Ok(self.checkpoint.counts.rejected == 0) } else { Err(Error::Interrupted(reached)) }
    }

    /// Imports lines until the end of the file or Ctrl-C. The first Ctrl-C lets the current batches finish, the second
    /// one abandons them.
    async fn import(&mut self, lines: Lines, mut interrupts: watch::Receiver<u32>) -> Result<(), Error> {
        let stop = interrupts.clone();
        let batches = stream::try_unfold(lines, move |mut lines| {
            let stop = *stop.borrow() > 0;
            async move {
                let batch = if stop { None } else { lines.batch(BATCH_LINES)? };
                Ok::<_, Error>(batch.map(|batch| (batch, lines)))
            }
        });
        let context = Arc::clone(&self.context);
        let done =
            batches.map_ok(|batch| process(Arc::clone(&context), batch)).try_buffered(CONCURRENT_BATCHES);
        let mut done = std::pin::pin!(done);
        let mut written_at = None::<Instant>;
        loop {
            let next = tokio::select! {
                next = done.try_next() => next?,
                Ok(_) = interrupts.wait_for(|count| *count > 1) => {
                    return Err(Error::Interrupted("some lines after that may have been written".to_owned()));
                }
            };
            let Some((batch, outcomes)) = next else { return Ok(()) };
            self.record(&batch, &outcomes)?;
            let (lines, rate) = (self.checkpoint.lines, self.lines_per_second());
            self.bar.set_position(self.checkpoint.offset);
            self.bar.set_message(format!("{} lines, {}/s", HumanCount(lines), HumanCount(rate)));
            if !self.context.dry_run && written_at.is_none_or(|at| at.elapsed() > CHECKPOINT_INTERVAL) {
                self.checkpoint.errors_length = self.rejects.flush()?;
                progress::write(&self.progress, &self.checkpoint)?;
                written_at = Some(Instant::now());
            }
        }
    }

    /// Counts the outcomes of a batch, and writes its rejected lines.
    fn record(&mut self, batch: &Batch, outcomes: &[LineOutcome]) -> Result<(), Error> {
        for (line, (outcome, unverified)) in batch.lines.iter().zip(outcomes) {
            self.checkpoint.counts.add(outcome, *unverified);
            if let Outcome::Rejected(error) = outcome {
                if self.checkpoint.counts.rejected <= SHOWN_REJECTS {
                    self.bar.suspend(|| output::note(format_args!("line {}, {error}", line.number)));
                }
                self.rejects.add(line, error, &self.context.format)?;
            }
        }
        self.checkpoint.advance(batch);
        Ok(())
    }

    fn lines_per_second(&self) -> u64 {
        let lines = self.checkpoint.lines - self.lines_before;
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        lines.saturating_mul(1_000) / millis
    }
}

/// Parses and writes a batch.
async fn process(context: Arc<Context>, batch: Batch) -> Result<(Batch, Vec<LineOutcome>), Error> {
    let parser = Arc::clone(&context);
    let parse = move |memory: &mut Memory| {
        let parsed: Vec<_> = batch.lines.iter().map(|line| parser.parse(line, memory)).collect();
        (batch, parsed)
    };
    let (batch, parsed) = context.hash_pool.run(parse).await?;
    let unverified: Vec<_> =
        parsed.iter().map(|parsed| parsed.as_ref().is_ok_and(|imported| imported.unverified)).collect();
    let outcomes = if context.dry_run {
        dry_run::predict(&context, parsed).await?
    } else {
        create::write(&context, parsed).await?
    };
    Ok((batch, outcomes.into_iter().zip(unverified).collect()))
}

/// Counts how often Ctrl-C is pressed. Returns the count, and the task that counts.
fn count_interrupts() -> (watch::Receiver<u32>, JoinHandle<()>) {
    let (sender, receiver) = watch::channel(0);
    let counter = async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            sender.send_modify(|count| *count += 1);
        }
    };
    (receiver, tokio::spawn(counter))
}

fn progress_bar(length: u64, json: bool) -> ProgressBar {
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(length) };
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
