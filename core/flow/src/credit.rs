//! Credit: how much one side may send before the other has made room.

use core::fmt;

/// The sender's account: how much it may still send.
///
/// Bytes or items, as the two sides agreed. Spending is all or nothing, so the account is never
/// negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Credit {
    available: u64,
}

impl Credit {
    /// An account that starts with `initial`.
    #[must_use]
    pub const fn new(initial: u64) -> Self {
        Self { available: initial }
    }

    /// What may be sent now.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.available
    }

    /// Whether nothing may be sent now.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.available == 0
    }

    /// Spends `amount`, all of it or nothing.
    ///
    /// # Errors
    /// [`CreditError::Exceeded`] if less is available; the account is unchanged.
    pub const fn spend(&mut self, amount: u64) -> Result<(), CreditError> {
        match self.available.checked_sub(amount) {
            Some(left) => {
                self.available = left;
                Ok(())
            }
            None => Err(CreditError::Exceeded),
        }
    }

    /// Spends `amount` or what there is, whichever is less, and returns how much that was.
    pub fn spend_up_to(&mut self, amount: u64) -> u64 {
        let spent = amount.min(self.available);
        self.available = self.available.saturating_sub(spent);
        spent
    }

    /// Adds what the receiver granted.
    ///
    /// # Errors
    /// [`CreditError::Overflow`] if the sum does not fit 64 bits; the account is unchanged.
    pub const fn grant(&mut self, amount: u64) -> Result<(), CreditError> {
        match self.available.checked_add(amount) {
            Some(sum) => {
                self.available = sum;
                Ok(())
            }
            None => Err(CreditError::Overflow),
        }
    }
}

/// The receiver's side: what was granted, what was used of it, and when to grant more.
///
/// At the start the sender may send one whole window. What arrives is *used*; what was passed on
/// is *drained* and may be granted again. A grant is due each time half a window has been drained,
/// which keeps the sender busy without a grant for every part.
///
/// ```text
///   window = room + held + owed        (a sender may overdraw room by at most the slack)
///
///   room --handle_received--> held --handle_drained--> owed --(half a window)--> room
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CreditWindow {
    window: u64,
    slack: u64,
    /// Received and not drained yet.
    held: u64,
    /// Drained and not granted again yet.
    owed: u64,
}

impl CreditWindow {
    /// A window that lets the sender have `window` outstanding.
    ///
    /// `slack` is how far beyond it the sender may go before that is an error: some peers check
    /// their credit between parts only.
    #[must_use]
    pub const fn new(window: u64, slack: u64) -> Self {
        Self { window, slack, held: 0, owed: 0 }
    }

    /// The size of the window.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.window
    }

    /// What the sender may still send: zero when it has used, or overdrawn, everything.
    #[must_use]
    pub const fn room(&self) -> u64 {
        self.window.saturating_sub(self.held).saturating_sub(self.owed)
    }

    /// What was received and not drained yet; at most window plus slack.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// `amount` arrived.
    ///
    /// # Errors
    /// [`CreditError::Exceeded`] if the sender had no right to it, slack included: the sender's
    /// fault. The window is unchanged.
    pub const fn handle_received(&mut self, amount: u64) -> Result<(), CreditError> {
        let limit = self.window.saturating_add(self.slack).saturating_sub(self.owed);
        match self.held.checked_add(amount) {
            Some(held) if held <= limit => {
                self.held = held;
                Ok(())
            }
            Some(_) | None => Err(CreditError::Exceeded),
        }
    }

    /// `amount` of what is held was passed on. Returns what to grant now, if a grant is due.
    ///
    /// A grant returned here counts as given: the caller sends it.
    ///
    /// # Errors
    /// [`CreditError::Exceeded`] if less is held: the caller's fault. The window is unchanged.
    pub const fn handle_drained(&mut self, amount: u64) -> Result<Option<u64>, CreditError> {
        let Some(held) = self.held.checked_sub(amount) else {
            return Err(CreditError::Exceeded);
        };
        self.held = held;
        self.owed = self.owed.saturating_add(amount);
        let due = self.owed > 0 && self.owed >= self.window.div_ceil(2);
        if !due {
            return Ok(None);
        }
        let grant = self.owed;
        self.owed = 0;
        Ok(Some(grant))
    }
}

/// Why credit did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CreditError {
    /// More was asked for than there is.
    Exceeded,
    /// The sum of all credit does not fit 64 bits.
    Overflow,
}

impl fmt::Display for CreditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exceeded => "more credit was used than there is",
            Self::Overflow => "the sum of credit does not fit 64 bits",
        })
    }
}

impl core::error::Error for CreditError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spending_is_all_or_nothing() {
        let mut credit = Credit::new(10);
        assert_eq!(credit.spend(11), Err(CreditError::Exceeded));
        assert_eq!(credit.available(), 10);
        assert_eq!(credit.spend(10), Ok(()));
        assert!(credit.is_empty());
        assert_eq!(credit.spend_up_to(3), 0);
        assert_eq!(credit.grant(5), Ok(()));
        assert_eq!(credit.spend_up_to(3), 3);
        assert_eq!(credit.available(), 2);
    }

    #[test]
    fn credit_that_would_overflow_is_refused_whole() {
        let mut credit = Credit::new(u64::MAX);
        assert_eq!(credit.grant(1), Err(CreditError::Overflow));
        assert_eq!(credit.available(), u64::MAX);
    }

    #[test]
    fn a_grant_is_due_at_half_a_window_and_carries_all_that_was_drained() {
        let mut window = CreditWindow::new(100, 0);
        assert_eq!(window.handle_received(100), Ok(()));
        assert_eq!(window.room(), 0);
        assert_eq!(window.handle_drained(49), Ok(None));
        assert_eq!(window.room(), 0, "not granted yet");
        assert_eq!(window.handle_drained(1), Ok(Some(50)));
        assert_eq!(window.room(), 50);
        assert_eq!(window.handle_drained(51), Err(CreditError::Exceeded));
        assert_eq!(window.handle_drained(50), Ok(Some(50)));
        assert_eq!(window.room(), 100);
    }

    #[test]
    fn slack_forgives_one_part_too_many_and_no_more() {
        let mut window = CreditWindow::new(100, 10);
        assert_eq!(window.handle_received(110), Ok(()));
        assert_eq!(window.handle_received(1), Err(CreditError::Exceeded));
        assert_eq!(window.held(), 110);
        assert_eq!(window.handle_drained(110), Ok(Some(110)));
        assert_eq!(window.room(), 100);
    }

    #[test]
    fn a_window_of_one_never_stalls() {
        let mut window = CreditWindow::new(1, 0);
        for _ in 0..3 {
            assert_eq!(window.handle_received(1), Ok(()));
            assert_eq!(window.handle_drained(1), Ok(Some(1)));
        }
    }

    proptest! {
        /// Both ends of one window, with grants that travel at once: what the sender believes is
        /// what the receiver believes, nothing goes below zero, and nothing stalls.
        #[test]
        fn sender_and_receiver_agree(
            window in 1u64..1000,
            ops in prop::collection::vec((any::<bool>(), 1u64..1200), 1..200),
        ) {
            let mut credit = Credit::new(window);
            let mut receiver = CreditWindow::new(window, 0);
            let (mut sent, mut drained) = (0u64, 0u64);
            for (send, amount) in ops {
                if send {
                    let part = credit.spend_up_to(amount);
                    sent += part;
                    prop_assert_eq!(receiver.handle_received(part), Ok(()));
                    prop_assert!(credit.available() > 0
                        || receiver.handle_received(1) == Err(CreditError::Exceeded));
                } else {
                    let part = amount.min(receiver.held());
                    drained += part;
                    if let Some(grant) = receiver.handle_drained(part).unwrap() {
                        credit.grant(grant).unwrap();
                    }
                }
                prop_assert_eq!(credit.available(), receiver.room());
                prop_assert_eq!(receiver.held(), sent - drained);
                prop_assert!(receiver.held() <= window);
                prop_assert!(receiver.held() > 0 || receiver.room() > 0, "stalled");
            }
        }
    }
}
