//! Requests being composed, and dialogs: what both sides remember of a call (RFC 3261 §12).

use std::net::SocketAddr;

use rsip::{Header, Headers, Method};

use super::text::{self, Reading};

/// A request before it has a branch: what a retry with credentials or a re-INVITE starts from.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) call_id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) sequence: u32,
    /// Route values, with their brackets.
    pub(super) routes: Vec<String>,
    /// Fields of this request alone.
    pub(super) fields: Vec<Header>,
    pub(super) body: Vec<u8>,
    /// The next hop.
    pub(super) hop: SocketAddr,
}

impl Draft {
    /// The message, under this Via and with these further fields.
    pub(super) fn write(&self, via: &str, credentials: &[Header]) -> Vec<u8> {
        let mut headers = Headers::default();
        headers.push(rsip::headers::Via::from(via).into());
        for route in &self.routes {
            headers.push(rsip::headers::Route::from(route.as_str()).into());
        }
        headers.push(rsip::headers::MaxForwards::from("70").into());
        headers.push(rsip::headers::From::from(self.from.as_str()).into());
        headers.push(rsip::headers::To::from(self.to.as_str()).into());
        headers.push(rsip::headers::CallId::from(self.call_id.as_str()).into());
        let method = text::method_name(self.method);
        headers.push(rsip::headers::CSeq::from(format!("{} {method}", self.sequence)).into());
        headers.extend(self.fields.clone());
        headers.extend(credentials.to_vec());
        finish(&format!("{method} {} SIP/2.0", self.uri), headers, &self.body)
    }

    /// The ACK for a final response other than 2xx: the INVITE's own Via, Request-URI and Route, the response's To.
    /// RFC 3261 §17.1.1.3.
    pub(super) fn acknowledge(&self, to: &str, via: &str) -> Vec<u8> {
        let ack = Draft { method: Method::Ack, to: to.to_owned(), fields: vec![], body: vec![], ..self.clone() };
        ack.write(via, &[])
    }

    /// The CANCEL of this request. RFC 3261 §9.1: the same Request-URI, Call-ID, To, From, CSeq number and Route.
    pub(super) fn cancel(&self) -> Draft {
        Draft { method: Method::Cancel, fields: vec![], body: vec![], ..self.clone() }
    }
}

/// A response's bytes: the fields a response copies, and what is its own.
pub(super) fn write_response(
    request: &Reading,
    from: SocketAddr,
    status: u16,
    to_tag: &str,
    fields: &[Header],
    body: &[u8],
) -> Vec<u8> {
    let mut headers = Headers::from(request.vias_for_response(from));
    // RFC 3261 §12.1.1: a response that makes a dialog copies every Record-Route, in order.
    if request.method == Method::Invite && (101..300).contains(&status) {
        for header in request.headers().iter() {
            if matches!(header, Header::RecordRoute(_)) {
                headers.push(header.clone());
            }
        }
    }
    headers.push(rsip::headers::From::from(request.from.as_str()).into());
    // RFC 3261 §8.2.6.2: a tag is added to every response but 100.
    let to = match request.to_tag {
        None if status > 100 => format!("{};tag={to_tag}", request.to),
        None | Some(_) => request.to.clone(),
    };
    headers.push(rsip::headers::To::from(to).into());
    headers.push(rsip::headers::CallId::from(request.call_id.as_str()).into());
    let sequence = format!("{} {}", request.sequence, text::method_name(request.method));
    headers.push(rsip::headers::CSeq::from(sequence).into());
    headers.extend(fields.to_vec());
    finish(&format!("SIP/2.0 {status} {}", text::reason_phrase(status)), headers, body)
}

fn finish(start_line: &str, mut headers: Headers, body: &[u8]) -> Vec<u8> {
    if !body.is_empty() {
        headers.push(rsip::headers::ContentType::from("application/sdp").into());
    }
    headers.push(rsip::headers::ContentLength::from(body.len().to_string()).into());
    let mut bytes = format!("{start_line}\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A dialog of ours.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// Our From value, with its tag.
    pub(super) local: String,
    /// Our To value, with its tag.
    pub(super) remote: String,
    pub(super) remote_tag: String,
    pub(super) local_sequence: u32,
    /// The highest CSeq number heard from the other side.
    pub(super) remote_sequence: Option<u32>,
    /// The other side's Contact.
    pub(super) target: String,
    /// Route values for our requests, with their brackets. Loose routers only.
    pub(super) routes: Vec<String>,
}

impl Dialog {
    /// The caller's: from its INVITE and a 2xx. RFC 3261 §12.1.2: Record-Route in reverse order.
    pub(super) fn of_caller(invite: &Draft, response: &Reading) -> Dialog {
        Dialog {
            call_id: invite.call_id.clone(),
            local: invite.from.clone(),
            remote: response.to.clone(),
            remote_tag: response.to_tag.clone().unwrap_or_default(),
            local_sequence: invite.sequence,
            remote_sequence: None,
            target: response.contact.clone().unwrap_or_else(|| invite.uri.clone()),
            routes: response.record_routes.iter().rev().cloned().collect(),
        }
    }

    /// The callee's: from the INVITE and its own tag. RFC 3261 §12.1.1: Record-Route as it stands.
    pub(super) fn of_callee(invite: &Reading, local_tag: &str) -> Dialog {
        Dialog {
            call_id: invite.call_id.clone(),
            local: format!("{};tag={local_tag}", invite.to),
            remote: invite.from.clone(),
            remote_tag: invite.from_tag.clone(),
            local_sequence: 0,
            remote_sequence: Some(invite.sequence),
            target: invite.contact.clone().unwrap_or_else(|| text::uri_of(&invite.from)),
            routes: invite.record_routes.clone(),
        }
    }

    /// The next request in this dialog. `fallback` is the hop where neither Route nor target is an address.
    pub(super) fn request(&mut self, method: Method, fallback: SocketAddr) -> Draft {
        self.local_sequence += 1;
        self.draft(method, self.local_sequence, fallback)
    }

    /// The ACK for a 2xx. RFC 3261 §13.2.2.4: a request of its own, with the INVITE's CSeq number.
    pub(super) fn acknowledge(&self, sequence: u32, fallback: SocketAddr) -> Draft {
        self.draft(Method::Ack, sequence, fallback)
    }

    fn draft(&self, method: Method, sequence: u32, fallback: SocketAddr) -> Draft {
        let hop = match self.routes.first() {
            Some(route) => text::address_of(&text::uri_of(route)),
            None => text::address_of(&self.target),
        };
        Draft {
            method,
            uri: self.target.clone(),
            call_id: self.call_id.clone(),
            from: self.local.clone(),
            to: self.remote.clone(),
            sequence,
            routes: self.routes.clone(),
            fields: vec![],
            body: vec![],
            hop: hop.unwrap_or(fallback),
        }
    }
}
