//! The hourly budget and the circuit breaker of a calling code, against SMS pumping.
//!
//! In SMS pumping (toll fraud) an attacker earns a share of the fee of every SMS. The attacker requests many codes
//! and verifies none. So the budget limits the codes in an hour, and the breaker opens when too few of them are
//! verified.

use crate::{clock::Timestamp, settings::Settings};

/// The length of the slots in which traffic is counted.
pub const SLOT_SECONDS: u64 = 300;

/// The number of slots, including the current one, that cover at least an hour.
pub const SLOTS: u64 = 3_600 / SLOT_SECONDS + 1;

/// Returns the number of the slot that contains a moment.
#[must_use]
pub fn slot(moment: Timestamp) -> u64 {
    moment.0 / SLOT_SECONDS
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
}

/// The limits of the traffic to a calling code.
#[derive(Clone, Copy, Debug)]
pub struct TrafficPolicy {
    /// The codes that may be sent in an hour.
    pub budget: u64,
    /// The codes that the breaker needs before it can open.
    pub min_codes: u64,
    /// The minimum share of verified codes in percent. Below it the breaker opens.
    pub min_verified_percent: u64,
}

/// The reason why no further code may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The hourly budget is exhausted.
    Budget,
    /// The breaker is open, because too few codes are verified.
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
    /// Returns `None` if another code may be sent after this traffic, or else the reason and the seconds to wait.
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

    const POLICY: TrafficPolicy = TrafficPolicy { budget: 500, min_codes: 50, min_verified_percent: 35 };
    /// The first second of slot 100.
    const NOW: Timestamp = Timestamp(100 * SLOT_SECONDS);

    fn slots(counted: &[(u64, u64, u64)]) -> Vec<Slot> {
        counted.iter().map(|&(number, sent, verified)| Slot { number, sent, verified }).collect()
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
