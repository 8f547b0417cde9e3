//! The decision record as product.md §4 promises its JSON: what a reader may rely on, whichever version wrote it. Fields may be added
//! there and never renamed, so everything unknown is passed over.

use serde::Deserialize;

/// What was decided for one call, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Decision {
    pub(super) number: String,
    #[serde(default)]
    pub(super) company: Option<String>,
    #[serde(default)]
    pub(super) caller: Option<String>,
    #[serde(default)]
    pub(super) at: Option<String>,
    #[serde(default)]
    pub(super) trunk: Option<String>,
    #[serde(default)]
    pub(super) from_user: Option<String>,
    #[serde(default)]
    pub(super) form: Option<String>,
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) door: Option<Door>,
    #[serde(default)]
    pub(super) number_hours: Option<String>,
    #[serde(default)]
    pub(super) passed: Vec<Passed>,
    #[serde(default)]
    pub(super) route: Option<Route>,
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    #[serde(default)]
    pub(super) answer: Option<Answer>,
    /// Seconds from the call's arrival to it.
    #[serde(default)]
    pub(super) answer_after: Option<f64>,
    #[serde(default)]
    pub(super) user_verdict: Option<UserVerdict>,
}

/// What becomes of the user asked about.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct UserVerdict {
    pub(super) verdict: String,
    pub(super) text: String,
}

/// Turned away before any route.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Door {
    pub(super) refused: String,
    pub(super) evidence: String,
}

/// A route that was not taken.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Passed {
    pub(super) to: String,
    pub(super) evidence: String,
}

/// The route taken.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Route {
    pub(super) to: String,
    #[serde(default)]
    pub(super) hours: Option<String>,
    #[serde(default)]
    pub(super) rule: Option<String>,
    #[serde(default)]
    pub(super) callers: Option<String>,
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
    pub(super) hours: Option<String>,
    /// Seconds from the call's arrival to the step.
    #[serde(default, rename = "entered-after")]
    pub(super) entered_after: Option<f64>,
    #[serde(default)]
    pub(super) cause: Option<String>,
    #[serde(default)]
    pub(super) evidence: Option<String>,
    #[serde(default)]
    pub(super) sticky: Option<String>,
    #[serde(default)]
    pub(super) members: Vec<Member>,
    /// Seconds in line.
    #[serde(default)]
    pub(super) wait: Option<f64>,
    #[serde(default)]
    pub(super) overflow: Option<String>,
    #[serde(default, rename = "overflow-by")]
    pub(super) overflow_by: Option<String>,
    #[serde(default)]
    pub(super) circle: bool,
    /// The offer to the outside number, and the seconds it rings.
    #[serde(default)]
    pub(super) offer: Option<u32>,
    #[serde(default)]
    pub(super) after: Option<f64>,
    #[serde(default)]
    pub(super) ring: Option<f64>,
}

impl Step {
    /// Whether anything rings in it.
    pub(super) fn rings(&self) -> bool {
        self.offer.is_some() || self.members.iter().any(|member| member.offer.is_some())
    }
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
    /// Seconds from the call's arrival to the offer.
    #[serde(default)]
    pub(super) after: Option<f64>,
    #[serde(default)]
    pub(super) ring: Option<f64>,
    #[serde(default)]
    pub(super) skip: Option<String>,
    #[serde(default)]
    pub(super) evidence: Option<String>,
    /// `alone` or `too`, where the mobile rings.
    #[serde(default)]
    pub(super) mobile: Option<String>,
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
