//! The decision record as product.md §4 promises its JSON: what a reader may rely on, whichever version wrote it. Fields may be added
//! there and never renamed, so everything unknown is passed over.

use serde::Deserialize;

/// What was decided for one call, and why.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::cli) struct Decision {
    pub(super) number: String,
    #[serde(default)]
    pub(super) company: Option<String>,
    #[serde(default)]
    pub(super) caller: Option<String>,
    #[serde(default)]
    pub(super) at: Option<String>,
    #[serde(default)]
    pub(super) route: Option<Route>,
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    #[serde(default)]
    pub(super) answer: Option<Answer>,
}

/// The route taken.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Route {
    pub(super) to: String,
    #[serde(default)]
    pub(super) hours: Option<String>,
}

/// One place that would be tried.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Step {
    #[serde(default)]
    pub(super) department: Option<String>,
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) external: Option<String>,
    #[serde(default)]
    pub(super) strategy: Option<String>,
    #[serde(default)]
    pub(super) cause: Option<String>,
    #[serde(default)]
    pub(super) members: Vec<Member>,
}

/// One member, offered or skipped.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Member {
    #[serde(default)]
    pub(super) extension: Option<String>,
    #[serde(default)]
    pub(super) person: Option<String>,
    #[serde(default)]
    pub(super) offer: Option<u32>,
    #[serde(default)]
    pub(super) skip: Option<String>,
    #[serde(default)]
    pub(super) evidence: Option<String>,
}

/// The answer if nobody takes the call.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) q850: Option<u8>,
    #[serde(default)]
    pub(super) cause: Option<String>,
    #[serde(default)]
    pub(super) text: Option<String>,
}
