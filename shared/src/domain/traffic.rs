//! The hourly budget and the circuit breaker of a route, against SMS pumping and guessing.
//!
//! In SMS pumping (toll fraud) an attacker earns a share of the fee of every SMS. The attacker requests many codes
//! and verifies none, and so does an attacker who guesses the codes of many accounts. So the budget limits the messages
//! in an hour, and the breaker opens when too few codes are verified.

use crate::{
    clock::Timestamp,
    contact::{Destination, InvalidContact},
    domain::code::Purpose,
    settings::{BreakerAction, Settings},
};
use std::fmt;

/// The length of the slots in which traffic is counted.
pub const SLOT_SECONDS: u64 = 300;

/// The number of slots, including the current one, that cover at least an hour.
pub const SLOTS: u64 = 3_600 / SLOT_SECONDS + 1;

/// Returns the number of the slot that contains a moment.
#[must_use]
pub fn slot(moment: Timestamp) -> u64 {
    moment.0 / SLOT_SECONDS
}

/// The messages that share one budget and one circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// How they are sent.
    pub carrier: Carrier,
    /// Who receives them.
    pub audience: Audience,
}

/// How messages are sent, and by SMS where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// By SMS to the phones of this calling code.
    CallingCode(String),
    /// By email.
    Mail,
}

/// Who receives messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Members, or those who bind a phone or an email address to their account.
    Members,
    /// Anyone who registers. These codes have a route of their own, so that an attacker who requests many of them does
    /// not use up the members' budget.
    Anyone,
}

impl Route {
    /// Returns the route of a code to a destination.
    ///
    /// # Errors
    /// [`InvalidContact`] if a stored phone is not an E.164 number.
    pub fn of_code(destination: &Destination, purpose: Purpose) -> Result<Self, InvalidContact> {
        let audience = if purpose == Purpose::Register { Audience::Anyone } else { Audience::Members };
        Ok(Self { carrier: Carrier::to(destination)?, audience })
    }

    /// Returns the route of a notice to a destination.
    ///
    /// # Errors
    /// [`InvalidContact`] if a stored phone is not an E.164 number.
    pub fn of_notice(destination: &Destination) -> Result<Self, InvalidContact> {
        Ok(Self { carrier: Carrier::to(destination)?, audience: Audience::Members })
    }
}

impl Carrier {
    fn to(destination: &Destination) -> Result<Self, InvalidContact> {
        match destination {
            Destination::Phone(phone) => Ok(Self::CallingCode(phone.parts()?.0.to_owned())),
            Destination::Email(_) => Ok(Self::Mail),
        }
    }
}

impl fmt::Display for Route {
    /// Writes the calling code or `mail`, after `register` for the codes to register.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.audience == Audience::Anyone {
            f.write_str("register ")?;
        }
        match &self.carrier {
            Carrier::CallingCode(code) => f.write_str(code),
            Carrier::Mail => f.write_str("mail"),
        }
    }
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A code. The breaker expects that most codes are verified.
    Code,
    /// The notice of a change, which no one verifies.
    Notice,
}

/// The traffic in one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The slot's number: seconds since 1970 divided by [`SLOT_SECONDS`].
    pub number: u64,
    /// The codes that were sent in the slot.
    pub sent: u64,
    /// The codes among these that were verified.
    pub verified: u64,
    /// The notices of changes that were sent in the slot.
    pub notices: u64,
}

/// The limits of the traffic on all routes.
#[derive(Clone, Copy, Debug)]
pub struct TrafficLimits {
    /// The SMS that may be sent to one calling code in an hour.
    pub region_per_hour: u32,
    /// The emails that may be sent in an hour.
    pub mail_per_hour: u32,
    /// The codes to register that may be sent to one calling code, or by email, in an hour.
    pub register_per_hour: u32,
    /// The codes that a breaker needs before it can open.
    pub breaker_min_codes: u32,
    /// The minimum share of verified codes in percent. Below it the breaker opens.
    pub breaker_min_verified_percent: u32,
    /// The effect of an open breaker.
    pub breaker_action: BreakerAction,
}

impl From<&Settings> for TrafficLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            region_per_hour: settings.region_sends_per_hour,
            mail_per_hour: settings.mail_sends_per_hour,
            register_per_hour: settings.register_sends_per_hour,
            breaker_min_codes: settings.breaker_min_codes,
            breaker_min_verified_percent: settings.breaker_min_verified_percent,
            breaker_action: settings.breaker_action,
        }
    }
}

impl TrafficLimits {
    /// Returns the policy for messages of this kind on a route. A notice is refused only by the budget of SMS, because
    /// a notice by email is what reaches the member when an attacker has used up every other limit.
    #[must_use]
    pub fn policy(&self, route: &Route, kind: MessageKind) -> TrafficPolicy {
        let (min_codes, min_verified_percent) = match kind {
            MessageKind::Code => (self.breaker_min_codes, self.breaker_min_verified_percent),
            MessageKind::Notice => (0, 0),
        };
        let budget = match (&route.carrier, route.audience, kind) {
            (_, Audience::Anyone, _) => self.register_per_hour.into(),
            (Carrier::CallingCode(_), Audience::Members, _) => self.region_per_hour.into(),
            (Carrier::Mail, Audience::Members, MessageKind::Code) => self.mail_per_hour.into(),
            (Carrier::Mail, Audience::Members, MessageKind::Notice) => u64::MAX,
        };
        let (min_codes, min_verified_percent) = (min_codes.into(), min_verified_percent.into());
        TrafficPolicy { budget, min_codes, min_verified_percent }
    }
}

/// The limits of the traffic on a route.
#[derive(Clone, Copy, Debug)]
pub struct TrafficPolicy {
    /// The messages that may be sent in an hour.
    pub budget: u64,
    /// The codes that the breaker needs before it can open.
    pub min_codes: u64,
    /// The minimum share of verified codes in percent. Below it the breaker opens. 0 disables the breaker.
    pub min_verified_percent: u64,
}

/// The reason why no further message may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The hourly budget is exhausted.
    Budget,
    /// The breaker is open, because too few codes are verified.
    Breaker,
}

impl TrafficPolicy {
    /// Returns `None` if another message may be sent after this traffic, or else the reason and the seconds to wait.
    /// The wait is shorter if more codes are verified meanwhile.
    #[must_use]
    pub fn check(&self, traffic: &[Slot], now: Timestamp) -> Option<(Denial, u64)> {
        let denial = self.check_at(traffic, slot(now))?;
        // After `SLOTS` slots all of the traffic is more than an hour old.
        let last = slot(now) + SLOTS;
        let allowed = (slot(now) + 1..=last).find(|at| self.check_at(traffic, *at).is_none()).unwrap_or(last);
        Some((denial, now.until(Timestamp(allowed * SLOT_SECONDS))))
    }

    fn check_at(&self, traffic: &[Slot], current: u64) -> Option<Denial> {
        let last_hour = || traffic.iter().filter(move |slot| slot.number + SLOTS > current);
        // Members may still verify the codes of a slot that ended less than its own length ago.
        let settled = || last_hour().filter(move |slot| slot.number + 2 <= current);
        let sent: u64 = settled().map(|slot| slot.sent).sum();
        let verified: u64 = settled().map(|slot| slot.verified).sum();
        if last_hour().map(|slot| slot.sent + slot.notices).sum::<u64>() >= self.budget {
            Some(Denial::Budget)
        } else if sent >= self.min_codes && verified * 100 < sent * self.min_verified_percent {
            Some(Denial::Breaker)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: TrafficPolicy = TrafficPolicy { budget: 500, min_codes: 50, min_verified_percent: 35 };
    /// The first second of slot 100.
    const NOW: Timestamp = Timestamp(100 * SLOT_SECONDS);

    fn slots(counted: &[(u64, u64, u64)]) -> Vec<Slot> {
        let slot = |&(number, sent, verified)| Slot { number, sent, verified, notices: 0 };
        counted.iter().map(slot).collect()
    }

    #[test]
    fn notices_use_the_budget_but_not_the_breaker() {
        let notices = |number, notices| Slot { number, notices, ..Slot::default() };
        assert_eq!(POLICY.check(&[notices(95, 499)], NOW), None);
        let traffic = [Slot { number: 95, sent: 100, verified: 100, notices: 400 }];
        assert_eq!(POLICY.check(&traffic, NOW), Some((Denial::Budget, 8 * 300)));
    }

    #[test]
    fn notice_is_refused_only_by_the_sms_budget() {
        use MessageKind::{Code, Notice};
        let limits = TrafficLimits::from(&crate::settings::tests::defaults());
        let to_members = |carrier| Route { carrier, audience: Audience::Members };
        let sms = to_members(Carrier::CallingCode("86".to_owned()));
        let mail = to_members(Carrier::Mail);
        let check = |route: &Route, kind, traffic: &[Slot]| {
            limits.policy(route, kind).check(traffic, NOW).map(|(denial, _)| denial)
        };
        let unverified = slots(&[(95, 100, 0)]);
        let exhausted = slots(&[(95, 2_000, 2_000)]);
        for (route, kind, after_guesses, after_budget) in [
            (&sms, Code, Some(Denial::Breaker), Some(Denial::Budget)),
            (&sms, Notice, None, Some(Denial::Budget)),
            (&mail, Code, Some(Denial::Breaker), Some(Denial::Budget)),
            (&mail, Notice, None, None),
        ] {
            let refused = (check(route, kind, &unverified), check(route, kind, &exhausted));
            assert_eq!(refused, (after_guesses, after_budget), "{route} {kind:?}");
        }
    }

    #[test]
    fn codes_to_register_have_their_own_budget() {
        let limits = TrafficLimits::from(&crate::settings::tests::defaults());
        let email = Destination::of_address("li@example.com");
        let budget = |purpose| {
            let route = Route::of_code(&email, purpose).unwrap();
            (route.to_string(), limits.policy(&route, MessageKind::Code).budget)
        };
        assert_eq!(budget(Purpose::Register), ("register mail".to_owned(), 100));
        assert_eq!(budget(Purpose::LogIn), ("mail".to_owned(), 2_000));
    }

    #[test]
    fn budget_covers_any_hour_and_returns_the_wait() {
        let traffic = slots(&[(88, 100, 100), (95, 399, 399)]);
        assert_eq!(POLICY.check(&traffic, NOW), None);
        let traffic = slots(&[(88, 100, 100), (95, 400, 400)]);
        assert_eq!(
            POLICY.check(&traffic, NOW),
            Some((Denial::Budget, 300)),
            "slot 88 ends an hour before slot 101"
        );
        assert_eq!(POLICY.check(&traffic, Timestamp(NOW.0 + 290)), Some((Denial::Budget, 10)));
        assert_eq!(POLICY.check(&traffic, Timestamp(NOW.0 + 300)), None);
        assert_eq!(POLICY.check(&slots(&[(100, 500, 0)]), NOW), Some((Denial::Budget, 3_900)));
    }

    #[test]
    fn breaker_opens_below_the_minimum_verified_share() {
        assert_eq!(POLICY.check(&slots(&[(95, 100, 35)]), NOW), None);
        assert_eq!(POLICY.check(&slots(&[(95, 100, 34)]), NOW), Some((Denial::Breaker, 8 * 300)));
        assert_eq!(POLICY.check(&slots(&[(95, 49, 0)]), NOW), None, "too few codes for the breaker");
        assert_eq!(POLICY.check(&slots(&[(80, 100, 0)]), NOW), None, "the traffic is more than an hour old");
    }

    #[test]
    fn breaker_ignores_the_most_recent_codes() {
        assert_eq!(POLICY.check(&slots(&[(99, 200, 0), (100, 200, 0)]), NOW), None);
        assert!(POLICY.check(&slots(&[(98, 200, 0), (100, 200, 0)]), NOW).is_some());
    }

    proptest! {
        #[test]
        fn wait_ends_when_sending_is_allowed_again(
            counted in prop::collection::vec((86u64..=100, 0u64..400, 0u64..400), 0..14),
            offset in 0u64..300,
        ) {
            let traffic = slots(&counted);
            let now = Timestamp(NOW.0 + offset);
            if let Some((_, wait)) = POLICY.check(&traffic, now) {
                prop_assert!((1..=3_900).contains(&wait));
                prop_assert_eq!(POLICY.check(&traffic, now.plus(wait)), None);
                prop_assert!(POLICY.check(&traffic, now.plus(wait - 1)).is_some());
            }
        }
    }
}
