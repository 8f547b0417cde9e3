//! Companies, users and trunks by the names people type. A name that nobody has is answered with the one that was meant.

use std::sync::Arc;

use crate::config::suggest::one_of;
use crate::id::{CompanyId, Extension, TrunkId};
use crate::routing::{Company, Plan, Trunk, User};

/// A company by its id or its SIP domain, which is a name of the DNS: in any case (RFC 4343).
pub(super) fn company<'p>(plan: &'p Plan, name: &str) -> Result<&'p Arc<Company>, String> {
    let name = name.trim();
    let named = plan.companies.get(name).or_else(|| plan.domains.get(&name.to_ascii_lowercase()));
    named.ok_or_else(|| {
        let known = plan.companies.keys().map(CompanyId::as_str);
        format!("there is no company `{name}`; {}", one_of(name, "companies", known))
    })
}

/// A user: `EXT@COMPANY`, or `EXT@DOMAIN`.
pub(super) fn user<'p>(plan: &'p Plan, name: &str) -> Result<&'p Arc<User>, String> {
    let Some((extension, of)) = name.trim().rsplit_once('@') else {
        return Err(format!("`{name}` is not of the form EXT@COMPANY"));
    };
    let of = company(plan, of)?;
    of.users.get(extension).ok_or_else(|| {
        let known = of.users.keys().map(Extension::as_str);
        format!("company `{}` has no extension `{extension}`; {}", of.id, one_of(extension, "extensions", known))
    })
}

/// A trunk.
pub(super) fn trunk<'p>(plan: &'p Plan, name: &str) -> Result<&'p Arc<Trunk>, String> {
    plan.trunks.get(name).ok_or_else(|| {
        let known = plan.trunks.keys().map(TrunkId::as_str);
        format!("there is no trunk `{name}`; {}", one_of(name, "trunks", known))
    })
}
