//! A gate: may the next thing pass now, later, or never again.

/// Lets things pass, holds them back for a while, or is shut for good.
///
/// ```text
///            pause                 close
///   Open ──────────▶ Paused ─────────────▶ Closed (final)
///    ▲ ◀──────────────┘  │                    ▲
///    │      resume       └ ─ ─                │
///    └────────────────────────────────────────┘
///                     close
/// ```
///
/// Each transition says whether it changed something, so that the caller acts (stops a receive,
/// wakes a writer) exactly once however often it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gate {
    state: GateState,
}

/// What a [`Gate`] does with the next thing that wants to pass.
///
/// Exhaustive on purpose: a fourth state would have to be thought about wherever one is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GateState {
    /// It passes.
    #[default]
    Open,
    /// It waits.
    Paused,
    /// It never passes; nothing reopens the gate.
    Closed,
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: GateState::Open }
    }

    /// The state now.
    #[must_use]
    pub const fn state(&self) -> GateState {
        self.state
    }

    /// Whether the next thing passes now.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, GateState::Open)
    }

    /// Whether nothing will ever pass again.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, GateState::Closed)
    }

    /// Holds things back. True if the gate was open until now.
    pub const fn pause(&mut self) -> bool {
        let changes = self.is_open();
        if changes {
            self.state = GateState::Paused;
        }
        changes
    }

    /// Lets things pass again. True if the gate was paused until now; a closed gate stays closed.
    pub const fn resume(&mut self) -> bool {
        let changes = matches!(self.state, GateState::Paused);
        if changes {
            self.state = GateState::Open;
        }
        changes
    }

    /// Shuts the gate for good. True the first time.
    pub const fn close(&mut self) -> bool {
        let changes = !self.is_closed();
        self.state = GateState::Closed;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pausing_twice_changes_something_once() {
        let mut gate = Gate::new();
        assert!(gate.pause());
        assert!(!gate.pause());
        assert!(gate.resume());
        assert!(!gate.resume());
        assert!(gate.is_open());
    }

    #[test]
    fn nothing_reopens_a_closed_gate() {
        let mut gate = Gate::new();
        gate.pause();
        assert!(gate.close());
        assert!(!gate.close());
        assert!(!gate.resume());
        assert!(!gate.pause());
        assert_eq!(gate.state(), GateState::Closed);
    }

    proptest! {
        /// Against a model that only remembers the last accepted order.
        #[test]
        fn reports_a_change_exactly_when_the_state_differs(
            ops in prop::collection::vec(0u8..3, 0..64),
        ) {
            let mut gate = Gate::new();
            for op in ops {
                let before = gate.state();
                let (changed, wanted) = match op {
                    0 => (gate.pause(), GateState::Paused),
                    1 => (gate.resume(), GateState::Open),
                    _ => (gate.close(), GateState::Closed),
                };
                let after = if before == GateState::Closed { before } else { wanted };
                prop_assert_eq!(gate.state(), after);
                prop_assert_eq!(changed, before != after);
            }
        }
    }
}
