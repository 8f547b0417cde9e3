//! [`Origin`]: the proof of who sent a request. Its parts have private fields, so that outside `auth` one can only be
//! had from [`Trunks::identify`](super::Trunks::identify) or [`Digest::verify`](super::Digest::verify).

use std::sync::Arc;

use crate::routing::{Company, Trunk, User};

/// Who a request is proven to come from. There is no third kind: whoever has no `Origin` is refused.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A trunk, by its source address.
    Trunk(TrunkProof),
    /// A user, by digest.
    User(UserProof),
}

/// A request came from an address of this trunk.
#[derive(Clone, Debug)]
pub struct TrunkProof {
    pub(super) trunk: Arc<Trunk>,
}

impl TrunkProof {
    /// The trunk.
    pub fn trunk(&self) -> &Arc<Trunk> {
        &self.trunk
    }
}

/// A request was made by somebody who knows this user's password.
#[derive(Clone, Debug)]
pub struct UserProof {
    pub(super) company: Arc<Company>,
    pub(super) user: Arc<User>,
}

impl UserProof {
    /// The user.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// The user's company.
    pub fn company(&self) -> &Arc<Company> {
        &self.company
    }
}
