//! The rules of time that changes obey: how soon a contact resets a password.

use crate::{
    clock::Timestamp, contact::Destination, domain::member::Member, error::Error, settings::Settings,
};

/// The rules of time that changes obey, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRules {
    /// The duration of a cooling-off period, and until a contact that was bound without a reauthentication is mature, in
    /// seconds.
    pub cooling_off_seconds: u64,
}

impl From<&Settings> for ChangeRules {
    fn from(settings: &Settings) -> Self {
        Self { cooling_off_seconds: settings.cooling_off_seconds }
    }
}

impl ChangeRules {
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

    fn require_elapsed(&self, since: Option<Timestamp>) -> Result<(), Error> {
        let until = since.map(|since| since.plus(self.cooling_off_seconds));
        match until.map(|until| Timestamp::now().until(until)) {
            Some(retry_after @ 1..) => Err(Error::CoolingOff { retry_after }),
            _ => Ok(()),
        }
    }
}
