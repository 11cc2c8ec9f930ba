//! Owns when a failed attempt is followed by another, and after how long.

use crate::event::FailureKind;
use crate::ledger::{Attempted, Missed};
use crate::plan::{Retry, RetryOn};
use crate::playbook::document::Effect;
use std::time::Duration;

/// The longest delay; doubling for ever would overflow.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// How long to wait before the next attempt; `None`: there is none.
///
/// `attempt` is 1-based; `since` is how long the step has been tried; `chance` is from 0 to 1.
pub fn next(
    retry: &Retry,
    effect: Effect,
    attempted: &Attempted,
    attempt: u32,
    since: Duration,
    chance: f64,
) -> Option<Duration> {
    let Attempted::Failed(missed) = attempted else { return None };
    if attempt >= retry.attempts || retry.max_time.is_some_and(|limit| since >= limit) {
        return None;
    }
    let wanted = match effect {
        // Whatever the author says, a `once` step is only tried again where it surely did not happen.
        Effect::Once => {
            missed.surely_not && matches!(missed.failure.kind, FailureKind::Transport | FailureKind::Assertions)
        }
        Effect::Read | Effect::Idempotent => retry.on.iter().any(|on| matches_on(on, missed)),
    };
    if !wanted {
        return None;
    }
    let delay = delay(retry, attempt, chance).max(missed.retry_after.unwrap_or_default());
    match retry.max_time {
        Some(limit) if since + delay > limit => Some(limit.saturating_sub(since)),
        _ => Some(delay),
    }
}

fn matches_on(on: &RetryOn, missed: &Missed) -> bool {
    match on {
        RetryOn::Transport => missed.failure.kind == FailureKind::Transport,
        RetryOn::Timeout => missed.failure.kind == FailureKind::Timeout,
        // To a group, a step that failed within it is what a failed assertion is to a step.
        RetryOn::Assertions => matches!(missed.failure.kind, FailureKind::Assertions | FailureKind::Inner),
        RetryOn::Status(status) => missed.status == Some(*status),
        RetryOn::StatusClass(class) => missed.status.is_some_and(|status| status / 100 == *class),
    }
}

fn delay(retry: &Retry, attempt: u32, chance: f64) -> Duration {
    let mut delay = retry.delay;
    if retry.exponential {
        delay = delay.saturating_mul(1u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
    }
    delay = delay.min(retry.max_delay.unwrap_or(LONGEST)).min(LONGEST);
    // Full delay at `chance` 0, less by up to the jitter's fraction, so that `max_delay` stays the most.
    delay.mul_f64(1.0 - retry.jitter * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;

    fn retry(attempts: u32) -> Retry {
        Retry {
            attempts,
            delay: Duration::from_secs(1),
            exponential: true,
            max_delay: Some(Duration::from_secs(5)),
            jitter: 0.5,
            max_time: None,
            on: vec![RetryOn::Transport],
        }
    }

    fn missed(kind: FailureKind, surely_not: bool) -> Attempted {
        let failure =
            Failure { kind, message: String::new(), assertions: vec![], place: None, excerpt: None, help: vec![] };
        Attempted::Failed(Missed { failure, captures: vec![], status: None, retry_after: None, surely_not })
    }

    #[test]
    fn delays_double_up_to_the_most_and_jitter_only_shortens_them() {
        let attempted = missed(FailureKind::Transport, false);
        let delays: Vec<_> = (1..5)
            .map(|attempt| next(&retry(9), Effect::Read, &attempted, attempt, Duration::ZERO, 0.0).unwrap().as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 5]);
        let jittered = next(&retry(9), Effect::Read, &attempted, 4, Duration::ZERO, 1.0).unwrap();
        assert_eq!(jittered, Duration::from_millis(2500));
    }

    #[test]
    fn once_is_tried_again_only_where_it_surely_did_not_happen() {
        let perhaps = missed(FailureKind::Transport, false);
        let surely_not = missed(FailureKind::Transport, true);
        assert_eq!(next(&retry(9), Effect::Once, &perhaps, 1, Duration::ZERO, 0.0), None);
        assert!(next(&retry(9), Effect::Once, &surely_not, 1, Duration::ZERO, 0.0).is_some());
    }

    #[test]
    fn attempts_and_time_end_it_whichever_is_first() {
        let attempted = missed(FailureKind::Transport, false);
        assert_eq!(next(&retry(2), Effect::Read, &attempted, 2, Duration::ZERO, 0.0), None);
        let mut timed = retry(9);
        timed.max_time = Some(Duration::from_secs(10));
        assert_eq!(next(&timed, Effect::Read, &attempted, 1, Duration::from_secs(10), 0.0), None);
        assert_eq!(
            next(&timed, Effect::Read, &attempted, 4, Duration::from_secs(8), 0.0),
            Some(Duration::from_secs(2))
        );
    }
}
