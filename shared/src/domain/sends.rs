//! The rate limits of sending codes.

use crate::settings::Settings;

/// The limits on codes per destination, member and source address.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    /// The resend cooldown of a destination, in seconds.
    pub resend_after_seconds: u64,
    /// Codes per destination in an hour.
    pub per_hour: u32,
    /// Codes per destination in a day.
    pub per_day: u32,
    /// Codes that one member requests in a day.
    pub member_per_day: u32,
    /// Codes that one source address requests in an hour.
    pub source_per_hour: u32,
}

impl From<&Settings> for SendLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            resend_after_seconds: settings.resend_after_seconds,
            per_hour: settings.sends_per_hour,
            per_day: settings.sends_per_day,
            member_per_day: settings.member_sends_per_day,
            source_per_hour: settings.source_sends_per_hour,
        }
    }
}
