//! The traffic to a calling code: how many codes were sent in the last hour, and how many of them came back.
//!
//! Whoever earns by SMS that others pay for ("SMS pumping") asks for codes and never sends one back. So
//! a calling code has an hourly budget, and a breaker that opens when too few codes are verified.

use crate::{clock::Timestamp, settings::Settings};

/// Traffic is counted by slots of so many seconds.
pub const SLOT_SECONDS: u64 = 300;

/// So many slots, the one that is not over yet included, are no less than an hour.
pub const SLOTS: u64 = 3_600 / SLOT_SECONDS + 1;

/// The number of the slot that a moment is in.
#[must_use]
pub fn slot(moment: Timestamp) -> u64 {
    moment.0 / SLOT_SECONDS
}

/// What was counted in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Its number: seconds since 1970 by [`SLOT_SECONDS`].
    pub number: u64,
    /// Codes that were sent.
    pub sent: u64,
    /// Codes of those that came back right.
    pub verified: u64,
}

/// What the traffic to a calling code is held to.
#[derive(Clone, Copy, Debug)]
pub struct TrafficPolicy {
    /// Codes in an hour.
    pub budget: u64,
    /// Codes sent long enough ago that must be there before the breaker judges by them.
    pub min_codes: u64,
    /// The share of them that must have been verified, in percent.
    pub min_verified_percent: u64,
}

/// Why no other code may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The hour's budget is used up.
    Budget,
    /// Too few codes come back verified.
    Breaker,
}

impl From<&Settings> for TrafficPolicy {
    fn from(settings: &Settings) -> Self {
        Self {
            budget: settings.region_sends_per_hour.into(),
            min_codes: settings.breaker_min_codes.into(),
            min_verified_percent: settings.breaker_min_verified_percent.into(),
        }
    }
}

impl TrafficPolicy {
    /// Whether another code may be sent after this traffic, and if not, why and for how many seconds, unless
    /// more codes come back meanwhile.
    #[must_use]
    pub fn check(&self, traffic: &[Slot], now: Timestamp) -> Option<(Denial, u64)> {
        let stop = self.check_at(traffic, slot(now))?;
        // By then all of it is more than an hour ago.
        let later = (slot(now) + 1..=slot(now) + SLOTS).find(|at| self.check_at(traffic, *at).is_none());
        Some((stop, now.until(Timestamp(later.unwrap_or(slot(now) + SLOTS) * SLOT_SECONDS))))
    }

    fn check_at(&self, traffic: &[Slot], current: u64) -> Option<Denial> {
        let last_hour = || traffic.iter().filter(move |slot| slot.number + SLOTS > current);
        // A slot that ended less than its own length ago holds codes that may yet come back.
        let judged = || last_hour().filter(move |slot| slot.number + 2 <= current);
        let sent: u64 = judged().map(|slot| slot.sent).sum();
        let verified: u64 = judged().map(|slot| slot.verified).sum();
        if last_hour().map(|slot| slot.sent).sum::<u64>() >= self.budget {
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

    const LIMITS: TrafficPolicy = TrafficPolicy { budget: 500, min_codes: 50, min_verified_percent: 35 };
    /// The first second of slot 100.
    const NOW: Timestamp = Timestamp(100 * SLOT_SECONDS);

    fn slots(counted: &[(u64, u64, u64)]) -> Vec<Slot> {
        counted.iter().map(|&(number, sent, verified)| Slot { number, sent, verified }).collect()
    }

    #[test]
    fn a_budget_is_for_any_hour_and_says_when_there_is_room_again() {
        let traffic = slots(&[(88, 100, 100), (95, 399, 399)]);
        assert_eq!(LIMITS.check(&traffic, NOW), None);
        let traffic = slots(&[(88, 100, 100), (95, 400, 400)]);
        assert_eq!(
            LIMITS.check(&traffic, NOW),
            Some((Denial::Budget, 300)),
            "slot 88 ends an hour before 101 does"
        );
        assert_eq!(LIMITS.check(&traffic, Timestamp(NOW.0 + 290)), Some((Denial::Budget, 10)));
        assert_eq!(LIMITS.check(&traffic, Timestamp(NOW.0 + 300)), None);
        assert_eq!(LIMITS.check(&slots(&[(100, 500, 0)]), NOW), Some((Denial::Budget, 3_900)));
    }

    #[test]
    fn the_breaker_opens_when_fewer_than_its_share_came_back() {
        assert_eq!(LIMITS.check(&slots(&[(95, 100, 35)]), NOW), None);
        assert_eq!(LIMITS.check(&slots(&[(95, 100, 34)]), NOW), Some((Denial::Breaker, 8 * 300)));
        assert_eq!(LIMITS.check(&slots(&[(95, 49, 0)]), NOW), None, "too few to judge by");
        assert_eq!(LIMITS.check(&slots(&[(80, 100, 0)]), NOW), None, "more than an hour ago");
    }

    #[test]
    fn codes_that_may_yet_come_back_are_not_held_against_anyone() {
        assert_eq!(LIMITS.check(&slots(&[(99, 200, 0), (100, 200, 0)]), NOW), None);
        assert!(LIMITS.check(&slots(&[(98, 200, 0), (100, 200, 0)]), NOW).is_some());
    }

    proptest! {
        #[test]
        fn after_the_wait_there_is_room(
            counted in prop::collection::vec((86u64..=100, 0u64..400, 0u64..400), 0..14),
            into in 0u64..300,
        ) {
            let traffic = slots(&counted);
            let now = Timestamp(NOW.0 + into);
            if let Some((_, wait)) = LIMITS.check(&traffic, now) {
                prop_assert!((1..=3_900).contains(&wait));
                prop_assert_eq!(LIMITS.check(&traffic, now.plus(wait)), None);
                prop_assert!(LIMITS.check(&traffic, now.plus(wait - 1)).is_some());
            }
        }
    }
}
