//! The decision record as the API promises it (product.md §4): fields may be added, never renamed. What a token may not see is taken
//! out of it here, and nowhere else.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::access::Visitor;
use super::problem::Problem;
use crate::routing::DecisionRecord;

/// What was decided for one call, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Decision {
    /// The called number, or what was called as it was written.
    number: String,
    /// The company that has it; null where nobody does.
    company: Option<String>,
    /// The caller: a number, a name, or `anonymous`.
    caller: String,
    /// When the call arrived, on the company's clock.
    #[schema(format = DateTime)]
    at: String,
    /// The route taken; null where none is open.
    route: Option<Route>,
    /// What was (or would be) tried, in order.
    steps: Vec<Step>,
    /// How the caller was (or would be) answered, if nobody takes the call.
    answer: Option<Answer>,
    /// What newer versions add.
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

/// The route taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Route {
    /// `department:sales`
    to: String,
    /// The hours that were open; null where the route has none.
    hours: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

/// A department, user or outside number that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Step {
    /// The department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    department: Option<String>,
    /// The user called directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The outside number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external: Option<String>,
    /// The department's strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strategy: Option<String>,
    /// Why it was left; null where somebody answered.
    cause: Option<String>,
    /// What shows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    /// Members in the order written.
    #[serde(default)]
    members: Vec<Member>,
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

/// One member, offered or skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Member {
    /// The extension.
    extension: String,
    /// Who is behind it.
    person: String,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skip: Option<String>,
    /// What shows it: `at globex since 10:31 IST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    /// The number of the offer made to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offer: Option<u32>,
    /// How that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// Seconds it rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ring: Option<f64>,
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

/// A final answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Answer {
    /// The SIP status.
    status: u16,
    /// The Q.850 cause.
    q850: Option<u8>,
    /// Which row of R-8.
    cause: String,
    /// In words.
    text: String,
}

impl Decision {
    /// What the visitor may see of a record: other companies' names are taken out, and for an agent everybody but itself.
    ///
    /// # Errors
    /// A defect: the record has not the shape that is promised.
    pub(super) fn of(visitor: &Visitor, record: &DecisionRecord) -> Result<Decision, Problem> {
        let wrong = |error: serde_json::Error| Problem::defect(format!("a decision record has no JSON form: {error}"));
        let value = serde_json::to_value(record).map_err(wrong)?;
        let mut decision: Decision = serde_json::from_value(value).map_err(wrong)?;
        let company = decision.company.clone().unwrap_or_default();
        if decision.company.is_some() && !visitor.knows(&company) {
            return Ok(decision.seen_from_outside());
        }
        let hide = |text: &mut Option<String>| {
            if let Some(text) = text {
                *text = told(visitor, &company, text);
            }
        };
        for step in &mut decision.steps {
            if let Some(user) = visitor.own() {
                step.members
                    .retain(|member| company == user.company.as_str() && member.extension == user.extension.as_str());
            }
            hide(&mut step.evidence);
            for member in &mut step.members {
                hide(&mut member.evidence);
                hide_in(visitor, &company, &mut member.more);
            }
            hide_in(visitor, &company, &mut step.more);
        }
        if let Some(answer) = &mut decision.answer {
            answer.text = told(visitor, &company, &answer.text);
        }
        // A user of another company who called: the caller is told, whose it is is not.
        let from_another = |user: &Value| {
            user.as_str().and_then(|user| user.rsplit_once('@')).is_some_and(|(_, of)| !visitor.knows(of))
        };
        if decision.more.get("from-user").is_some_and(from_another) {
            decision.more.remove("from-user");
        }
        hide_in(visitor, &company, &mut decision.more);
        Ok(decision)
    }

    /// What whoever made the call knows of it anyway: an agent that called a company which is not its own reads nothing of how
    /// that company is run, and so nothing is kept that is not named here.
    fn seen_from_outside(self) -> Decision {
        let at = DateTime::parse_from_rfc3339(&self.at);
        Decision {
            number: self.number,
            company: None,
            caller: self.caller,
            // Its clock would name the place.
            at: at.map_or_else(|_| String::new(), |at| at.to_utc().to_rfc3339_opts(SecondsFormat::Secs, false)),
            route: None,
            steps: Vec::new(),
            // The words name departments.
            answer: self.answer.map(|answer| Answer { text: answer.cause.clone(), ..answer }),
            more: Map::new(),
        }
    }
}

/// In every text below.
fn hide_in(visitor: &Visitor, company: &str, more: &mut Map<String, Value>) {
    for value in more.values_mut() {
        hide_below(visitor, company, value);
    }
}

fn hide_below(visitor: &Visitor, company: &str, value: &mut Value) {
    match value {
        Value::String(text) => *text = told(visitor, company, text),
        Value::Array(list) => list.iter_mut().for_each(|value| hide_below(visitor, company, value)),
        Value::Object(map) => hide_in(visitor, company, map),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Evidence as the visitor may read it: `at globex since 10:31 IST` becomes `at another company since 10:31 IST` for who may not know of
/// globex. Evidence names another company in this form only (`held` in `routing/eligibility.rs`).
pub(super) fn told(visitor: &Visitor, company: &str, evidence: &str) -> String {
    let words: Vec<&str> = evidence.split(' ').collect();
    let hidden = |place: usize| {
        let before = place.checked_sub(1).and_then(|before| words.get(before));
        let name = words.get(place).copied().unwrap_or_default();
        before == Some(&"at")
            && words.get(place + 1).is_some_and(|after| ["since", "until"].contains(after))
            && name != company
            && !visitor.knows(name)
    };
    let tell =
        |(place, word): (usize, &&str)| if hidden(place) { "another company".to_owned() } else { (*word).to_owned() };
    words.iter().enumerate().map(tell).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Access, TokenRole};
    use crate::id::{CompanyId, Extension, UserId};
    use crate::routing::{Answer as Row, AnswerCause, MemberRecord, SkipReason, StepRecord};
    use crate::time::Now;

    fn visitor(access: Access) -> Visitor {
        Visitor::for_tests(TokenRole::Administrator, access)
    }

    fn acme() -> Visitor {
        visitor(Access::Companies([CompanyId::new("acme")].into()))
    }

    /// 221 talks for globex, 222 is away.
    fn record() -> DecisionRecord {
        let answer = Row::new(AnswerCause::Busy, "everybody in sales is busy");
        let member = |extension: &str, skip, evidence: &str| MemberRecord {
            extension: extension.into(),
            person: extension.into(),
            skip: Some(skip),
            evidence: Some(evidence.into()),
            ..MemberRecord::default()
        };
        let step = StepRecord {
            department: Some("sales".into()),
            cause: Some(AnswerCause::Busy),
            members: vec![
                member("221", SkipReason::OnCall, "at globex since 10:31 IST"),
                member("222", SkipReason::Away, "switched off by the user"),
            ],
            wait: Some(2.5),
            ..StepRecord::default()
        };
        let now = Now { mono: Default::default(), wall: Default::default() };
        let record = DecisionRecord::refused(now, "+918041234567".into(), "+919811112222".into(), answer);
        DecisionRecord { company: Some("acme".into()), steps: vec![step], ..record }
    }

    #[test]
    fn another_companys_name_is_for_those_who_may_know_of_it() {
        let for_all = Decision::of(&visitor(Access::All), &record()).unwrap();
        assert_eq!(for_all.steps[0].members[0].evidence.as_deref(), Some("at globex since 10:31 IST"));
        let for_acme = Decision::of(&acme(), &record()).unwrap();
        assert_eq!(for_acme.steps[0].members[0].evidence.as_deref(), Some("at another company since 10:31 IST"));
        assert_eq!(for_acme.steps[0].members[1].evidence.as_deref(), Some("switched off by the user"));
        assert_eq!(told(&acme(), "acme", "at acme until 10:31:05 IST"), "at acme until 10:31:05 IST");
        let json = serde_json::to_string(&for_acme).unwrap();
        assert!(!json.contains("globex"), "{json}");
    }

    #[test]
    fn an_agent_reads_nothing_of_its_colleagues() {
        let agent = visitor(Access::User(UserId::new(&CompanyId::new("acme"), &Extension::new("222"))));
        let decision = Decision::of(&agent, &record()).unwrap();
        let extensions: Vec<&str> = decision.steps[0].members.iter().map(|member| member.extension.as_str()).collect();
        assert_eq!(extensions, ["222"]);
    }

    #[test]
    fn whoever_called_another_company_reads_what_its_phone_was_told() {
        let agent = visitor(Access::User(UserId::new(&CompanyId::new("globex"), &Extension::new("305"))));
        let passed = crate::routing::PassedRouteRecord { to: "department:night".into(), evidence: "closed".into() };
        let record = DecisionRecord {
            label: Some("Sales".into()),
            number_hours: Some("office".into()),
            passed: vec![passed],
            at: "2026-11-22T10:31:00+05:30".into(),
            ..record()
        };
        let decision = serde_json::to_value(Decision::of(&agent, &record).unwrap()).unwrap();
        let answer = serde_json::json!({ "status": record.answer.as_ref().unwrap().status, "q850": 17, "cause": "busy", "text": "busy" });
        let all = serde_json::json!({
            "number": "+918041234567", "company": null, "caller": "+919811112222", "at": "2026-11-22T05:01:00+00:00",
            "route": null, "steps": [], "answer": answer,
        });
        assert_eq!(decision, all);
    }

    #[test]
    fn nothing_of_a_record_is_lost() {
        let decision = Decision::of(&visitor(Access::All), &record()).unwrap();
        assert_eq!(serde_json::to_value(decision).unwrap(), serde_json::to_value(record()).unwrap());
    }
}
