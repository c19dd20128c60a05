//! Letters between the two sides of a call: kept here if both are on this core, sent if not.

use std::collections::VecDeque;

use super::mail::{Mail, ToClient, ToHome, Way};
use super::token::parse_origin;

/// The outgoing letters of a shard.
#[derive(Debug)]
pub(super) struct Post {
    core: u8,
    /// By core; the one of this shard is never used.
    ways: Vec<Way>,
    /// Letters that stay on this core.
    pub(super) to_home: VecDeque<ToHome>,
    pub(super) to_client: VecDeque<(u64, ToClient)>,
}

impl Post {
    pub(super) fn new(core: u8, ways: Vec<Way>) -> Self {
        Self { core, ways, to_home: VecDeque::new(), to_client: VecDeque::new() }
    }

    /// The core of this shard.
    pub(super) fn core(&self) -> u8 {
        self.core
    }

    /// Whether a call may be sent to that core.
    pub(super) fn has_room(&self, core: u8) -> bool {
        core == self.core || self.ways.get(usize::from(core)).is_some_and(|way| !way.is_crowded())
    }

    /// Whether what workers send must wait, since another core does not take it.
    pub(super) fn is_crowded(&self) -> bool {
        self.ways.iter().any(Way::is_crowded)
    }

    pub(super) fn send_home(&mut self, core: u8, letter: ToHome) {
        if core == self.core {
            self.to_home.push_back(letter);
        } else if let Some(way) = self.ways.get_mut(usize::from(core)) {
            way.send(Mail::ToHome(letter));
        }
    }

    pub(super) fn send_client(&mut self, origin: u64, letter: ToClient) {
        let (core, _) = parse_origin(origin);
        if core == self.core {
            self.to_client.push_back((origin, letter));
        } else if let Some(way) = self.ways.get_mut(usize::from(core)) {
            way.send(Mail::ToClient { origin, letter });
        }
    }

    /// Whether no letter waits to be delivered on this core.
    pub(super) fn is_quiet(&self) -> bool {
        self.to_home.is_empty() && self.to_client.is_empty()
    }

    /// Hands over what is for other cores. True if letters are left behind.
    pub(super) fn deliver(&mut self) -> bool {
        // Every way has its turn, whatever the others say.
        self.ways.iter_mut().fold(false, |left, way| way.deliver() | left)
    }
}
