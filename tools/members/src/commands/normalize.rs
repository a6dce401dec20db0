//! `members normalize`: stores phones and email addresses in their normal form, with their owners under the canonical
//! keys.

mod report;
mod survey;

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use shared::{
    audit::AdminAction,
    contact::Destination,
    member::{Member, MemberId},
    store::{Backoff, StoredOwner, is_conflict},
};

use crate::{error::Error, table::MemberTable};
use report::{Collision, Report};
use survey::{Survey, normal_form};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write; otherwise the command only reports what it would change
    #[arg(long)]
    yes: bool,
}

/// Members that are written concurrently.
const CONCURRENT_WRITES: usize = 16;

/// Reports the contacts that are not in their normal form, and changes those that no other member has. Returns whether
/// every contact is now in its normal form, or would be.
///
/// A second run changes nothing, so an interrupted run is repeated.
pub async fn run(table: &MemberTable, arguments: &Arguments, json: bool) -> Result<bool, Error> {
    let is_dry = !arguments.yes;
    if !is_dry {
        table.record(None, AdminAction::Normalized).await?;
    }
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    let survey = Survey::take(table, &bar).await?;
    let (members, unreachable) = (survey.members, survey.unreachable.clone());
    let (collisions, changes) = survey.into_changes();
    let taken: HashSet<_> = collisions.iter().map(|(key, _)| key.clone()).collect();
    let mut report = Report {
        dry_run: is_dry,
        members,
        normalized: 0,
        collisions: collisions.into_iter().map(|(_, collision)| collision).collect(),
        unreachable,
    };
    if is_dry {
        report.normalized = changes.len() as u64;
    } else {
        let written = changes.into_iter().map(|(id, obsolete)| normalize(table, id, obsolete, &taken));
        let mut written = stream::iter(written).buffer_unordered(CONCURRENT_WRITES);
        while let Some(collision) = written.try_next().await? {
            match collision {
                Some(collision) => report.collisions.push(collision),
                None => report.normalized += 1,
            }
            bar.set_message(format!("{} members normalized", report.normalized));
            bar.tick();
        }
    }
    bar.finish_and_clear();
    report.print(json)?;
    Ok(report.is_complete())
}

/// Normalizes the contacts of a member, except those whose canonical key is `taken`. Returns the collision with another
/// member who owns one of them since the survey.
async fn normalize(
    table: &MemberTable,
    id: MemberId,
    obsolete: Vec<StoredOwner>,
    taken: &HashSet<String>,
) -> Result<Option<Collision>, Error> {
    let mut backoff = Backoff::of_command();
    loop {
        let member = table.store.member(id).await?;
        let contacts =
            member.as_ref().map(|member| normal_contacts(table, member, taken)).unwrap_or_default();
        let normal = member.as_ref().map(|member| (member, &*contacts));
        let error = match table.store.normalize_contacts(id, normal, &obsolete, &table.actor).await {
            Ok(()) => return Ok(None),
            Err(error) => error,
        };
        let is_taken = matches!(error, shared::Error::PhoneInUse | shared::Error::EmailInUse);
        if is_taken {
            let owners = table.store.owners(contacts).await?;
            if let Some((contact, owner)) = owners.into_iter().find(|(_, owner)| *owner != id) {
                return Ok(Some(Collision::new(&contact, [id, owner].into())));
            }
        }
        // If the other member has released the contact meanwhile, the next attempt succeeds.
        if !(is_taken || is_conflict(&error)) || !backoff.wait().await {
            return Err(error.into());
        }
    }
}

/// Returns the contacts of a member in their normal form, except those that have none and those that are `taken`.
fn normal_contacts(table: &MemberTable, member: &Member, taken: &HashSet<String>) -> Vec<Destination> {
    let contacts = member.destinations().into_iter();
    let normal = contacts.filter_map(|contact| normal_form(&contact, &table.settings.phones).ok());
    normal.filter(|contact| !taken.contains(&contact.key())).collect()
}
