//! The rules of time that changes obey: how often a member makes one, and how soon a contact resets a password.

use crate::{
    clock::Timestamp, contact::Destination, domain::member::Member, error::Error, settings::Settings,
};

const SECONDS_PER_HOUR: u64 = 3_600;

/// The rules of time that changes obey, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRules {
    /// The duration of a cooling-off period, and until a contact that was bound without a reauthentication is mature, in
    /// seconds.
    pub cooling_off_seconds: u64,
    /// The most changes that a member makes in any hour. A recovery counts, but is not limited.
    pub changes_per_hour: u32,
}

impl From<&Settings> for ChangeRules {
    fn from(settings: &Settings) -> Self {
        Self {
            cooling_off_seconds: settings.cooling_off_seconds,
            changes_per_hour: settings.changes_per_hour,
        }
    }
}

impl ChangeRules {
    /// Fails if the member may make no change now.
    ///
    /// # Errors
    /// [`Error::TooManyChanges`] with the seconds until the next one.
    pub fn require_changeable(&self, member: &Member) -> Result<(), Error> {
        let now = Timestamp::now();
        let mut recent = recent_changes(member, now);
        recent.sort_unstable();
        // The change that must leave the hour before another is made.
        let oldest =
            recent.len().checked_sub(usize::try_from(self.changes_per_hour).map_err(Error::internal)?);
        match oldest.and_then(|oldest| recent.get(oldest)) {
            Some(at) => {
                Err(Error::TooManyChanges { retry_after: now.until(at.plus(SECONDS_PER_HOUR)).max(1) })
            }
            None => Ok(()),
        }
    }

    /// Fails unless the member's bound phone or email address is mature. An attacker with a stolen session can bind a
    /// first one, and must gain nothing by it before the member was notified and had time to react.
    ///
    /// # Errors
    /// [`Error::CoolingOff`] with the seconds until it is mature.
    pub fn require_mature(&self, member: &Member, destination: &Destination) -> Result<(), Error> {
        self.require_elapsed(member.immature_since(destination))
    }

    /// Fails unless the member's phone may reset the pay password: it is mature, and no cooling-off period has begun
    /// too recently. An attacker who took over the phone or the account has no immediate access to payments.
    ///
    /// # Errors
    /// [`Error::CoolingOff`] with the seconds that remain.
    pub fn require_pay_reset_allowed(&self, member: &Member, phone: &Destination) -> Result<(), Error> {
        self.require_elapsed(member.cooling_since.max(member.immature_since(phone)))
    }

    /// Returns when the member's phone or email address matures, unless it is mature.
    #[must_use]
    pub fn matures_at(&self, member: &Member, destination: &Destination) -> Option<Timestamp> {
        self.end(member.immature_since(destination))
    }

    /// Returns when the member's cooling-off period ends, if there is one.
    #[must_use]
    pub fn cooling_off_until(&self, member: &Member) -> Option<Timestamp> {
        self.end(member.cooling_since)
    }

    fn require_elapsed(&self, since: Option<Timestamp>) -> Result<(), Error> {
        match self.end(since).map(|until| Timestamp::now().until(until)) {
            Some(retry_after) => Err(Error::CoolingOff { retry_after }),
            None => Ok(()),
        }
    }

    /// Returns the end of a period that began then, if it is not over.
    fn end(&self, since: Option<Timestamp>) -> Option<Timestamp> {
        let until = since?.plus(self.cooling_off_seconds);
        (until > Timestamp::now()).then_some(until)
    }
}

/// Returns the times of the member's changes in the last hour, with one that is made now.
pub(super) fn with_another_change(member: &Member) -> Vec<Timestamp> {
    let now = Timestamp::now();
    let mut times = recent_changes(member, now);
    times.push(now);
    times
}

fn recent_changes(member: &Member, now: Timestamp) -> Vec<Timestamp> {
    member.changed_at.iter().copied().filter(|at| at.plus(SECONDS_PER_HOUR) > now).collect()
}
