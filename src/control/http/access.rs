//! Who asks, and whom they may know of.
//!
//! | role | may |
//! |---|---|
//! | administrator | everything of its companies; what is about the whole machine only with a token for all companies |
//! | manager | read what goes on, the log and reports of its companies |
//! | agent | its own user's state, switch and calls |
//!
//! What a token may not know of is answered as what does not exist (404). What its role may do to nobody is refused (403).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::Api;
use super::problem::Problem;
use crate::config::{Access, Token, TokenRole, token_hash};
use crate::id::{CompanyId, UserId};
use crate::routing::Plan;

/// Whoever asks, known by a token.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    role: TokenRole,
    access: Access,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// See calls, agents, the log: of oneself at least.
    Look,
    /// See queues, registrations, reports: of whole companies.
    Oversee,
    /// Switch taking calls on or off.
    Switch,
    /// Pause a user, ask who would ring.
    Administer,
}

impl Visitor {
    #[cfg(test)]
    pub(super) fn for_tests(role: TokenRole, access: Access) -> Visitor {
        Visitor { role, access }
    }

    /// Whether the role may do that to anybody at all.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may(&self, act: Act) -> Result<(), Problem> {
        let may = match self.role {
            TokenRole::Administrator => true,
            TokenRole::Manager => matches!(act, Act::Look | Act::Oversee),
            TokenRole::Agent => matches!(act, Act::Look | Act::Switch),
        };
        if may { Ok(()) } else { Err(Problem::forbidden()) }
    }

    /// Whether it may do what is about the whole machine.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_run_the_machine(&self) -> Result<(), Problem> {
        match (self.role, &self.access) {
            (TokenRole::Administrator, Access::All) => Ok(()),
            (TokenRole::Administrator, Access::Companies(_) | Access::User(_)) => Err(Problem::not_the_machines()),
            (TokenRole::Manager | TokenRole::Agent, _) => Err(Problem::forbidden()),
        }
    }

    /// Whether it may know of that company as a whole.
    pub(super) fn covers(&self, company: &str) -> bool {
        self.access.covers(&CompanyId::new(company))
    }

    /// Whether it may know that there is such a company: an agent knows its own.
    pub(super) fn knows(&self, company: &str) -> bool {
        self.covers(company) || self.own().is_some_and(|user| user.company.as_str() == company)
    }

    /// Whether it may know of that user.
    pub(super) fn sees(&self, company: &str, extension: &str) -> bool {
        let own = |user: &UserId| user.company.as_str() == company && user.extension.as_str() == extension;
        self.covers(company) || self.own().is_some_and(own)
    }

    /// The only user it is about, where it is about one.
    pub(super) fn own(&self) -> Option<&UserId> {
        match &self.access {
            Access::User(user) => Some(user),
            Access::All | Access::Companies(_) => None,
        }
    }

    /// Whether it sees every company.
    pub(super) fn sees_all(&self) -> bool {
        matches!(self.access, Access::All)
    }

    /// The companies it is about; `None`: all.
    pub(super) fn companies(&self) -> Option<Vec<CompanyId>> {
        match &self.access {
            Access::All => None,
            Access::Companies(companies) => Some(companies.iter().cloned().collect()),
            Access::User(user) => Some(vec![user.company.clone()]),
        }
    }

    /// A company that is asked for by name.
    ///
    /// # Errors
    /// 404 for one that does not exist and for one it may not know of.
    pub(super) fn asks_for<'n>(&self, plan: &Plan, company: Option<&'n str>) -> Result<Option<&'n str>, Problem> {
        match company {
            Some(name) if !self.knows(name) || !plan.companies.contains_key(name) => Err(Problem::unknown("company")),
            asked => Ok(asked),
        }
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Visitor, Problem> {
        // `admit` stands before every route that asks who is there; without it nobody is.
        parts.extensions.get::<Visitor>().cloned().ok_or_else(Problem::stranger)
    }
}

/// Paths that anybody may ask for: they hold no data.
const PUBLIC: [&str; 2] = ["/health", "/ready"];

/// Stands before every route, known or not: without a token not even the absence of a page is told.
pub(super) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    if PUBLIC.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let visitor = presented(request.headers()).and_then(|token| recognise(&api.config().control.tokens, token));
    match visitor {
        Some(visitor) => {
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        None => Problem::stranger().into_response(),
    }
}

/// RFC 6750 §2.1: the token in the one Authorization header.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (only, None) = (all.next()?, all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty()).then_some(token)
}

/// Whose token it is. Every configured one is compared, each in constant time, so that time tells nothing about any.
fn recognise(tokens: &[Token], presented: &str) -> Option<Visitor> {
    let hash = token_hash(presented);
    let mut found = 0u64;
    for (place, token) in (1u64..).zip(tokens) {
        let same: Choice = token.sha256.ct_eq(&hash);
        found.conditional_assign(&place, same);
    }
    let place = usize::try_from(found).ok()?.checked_sub(1)?;
    tokens.get(place).map(|token| Visitor { role: token.role, access: token.access.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Extension;

    fn token(name: &str, role: TokenRole, access: Access) -> Token {
        Token { name: name.to_owned(), sha256: token_hash(name), role, access }
    }

    fn companies(names: &[&str]) -> Access {
        Access::Companies(names.iter().map(CompanyId::new).collect())
    }

    #[test]
    fn a_token_is_recognised_wherever_it_stands_and_no_other() {
        let agent = UserId::new(&CompanyId::new("acme"), &Extension::new("221"));
        let tokens = [
            token("first", TokenRole::Administrator, Access::All),
            token("second", TokenRole::Manager, companies(&["acme"])),
            token("third", TokenRole::Agent, Access::User(agent)),
        ];
        for configured in &tokens {
            let visitor = recognise(&tokens, &configured.name).unwrap();
            assert_eq!((visitor.role, visitor.access), (configured.role, configured.access.clone()));
        }
        assert!(recognise(&tokens, "fourth").is_none());
        assert!(recognise(&[], "first").is_none());
    }

    #[test]
    fn the_token_is_read_as_rfc_6750_writes_it() {
        let mut headers = HeaderMap::new();
        for (value, token) in [
            ("Bearer sb_x", Some("sb_x")),
            ("bearer  sb_x ", Some("sb_x")),
            ("Basic sb_x", None),
            ("Bearer", None),
            ("Bearer  ", None),
            ("", None),
        ] {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(presented(&headers), token, "{value:?}");
        }
        headers.insert(header::AUTHORIZATION, "Bearer a".parse().unwrap());
        headers.append(header::AUTHORIZATION, "Bearer b".parse().unwrap());
        assert_eq!(presented(&headers), None, "two are none");
    }

    #[test]
    fn an_agent_knows_its_company_and_sees_itself_alone() {
        let user = UserId::new(&CompanyId::new("acme"), &Extension::new("221"));
        let agent = Visitor { role: TokenRole::Agent, access: Access::User(user) };
        assert!(agent.knows("acme") && !agent.knows("globex") && !agent.covers("acme"));
        assert!(agent.sees("acme", "221") && !agent.sees("acme", "222") && !agent.sees("globex", "221"));
        let manager = Visitor { role: TokenRole::Manager, access: companies(&["acme"]) };
        assert!(manager.sees("acme", "222") && !manager.sees("globex", "221") && !manager.knows("globex"));
    }
}
