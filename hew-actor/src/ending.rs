//! Why an actor ended, in as little memory as most ends need.

use hew_wire::ExitReason;

/// An [`ExitReason`] as a part of every actor: the usual ends cost no allocation.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Normal,
    Killed,
    Other(Box<ExitReason>),
}

impl Ending {
    pub(crate) fn reason(&self) -> ExitReason {
        match self {
            Ending::Normal => ExitReason::Normal,
            Ending::Killed => ExitReason::Killed,
            Ending::Other(reason) => ExitReason::clone(reason),
        }
    }
}

impl From<&ExitReason> for Ending {
    fn from(reason: &ExitReason) -> Ending {
        match reason {
            ExitReason::Normal => Ending::Normal,
            ExitReason::Killed => Ending::Killed,
            other => Ending::Other(Box::new(other.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_small_and_says_what_it_was_given() {
        assert!(size_of::<Option<Ending>>() <= 16);
        let reasons = [
            ExitReason::Normal,
            ExitReason::Killed,
            ExitReason::crashed("x"),
            ExitReason::linked("y"),
            ExitReason::NoProcess,
            ExitReason::NodeDown,
        ];
        for reason in reasons {
            assert_eq!(Ending::from(&reason).reason(), reason);
        }
    }
}
