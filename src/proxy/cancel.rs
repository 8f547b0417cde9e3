//! Requests that follow from an INVITE of ours: CANCEL (RFC 3261 §9.1) and the ACK of a failure (§17.1.1.3).

use bytes::Bytes;

use crate::sip::{Name, Request, Response};

/// The CANCEL for an INVITE that we sent. `reason` becomes a Reason header field's value (RFC 3326).
pub fn cancel_for(invite: &Request, reason: Option<&[u8]>) -> Bytes {
    // RFC 3261 §9.1: "The Request-URI, Call-ID, To, the numeric part of CSeq, and From header fields in the CANCEL request
    // MUST be identical to those in the request being cancelled, including tags." … "MUST have a single Via header field
    // value matching the top Via value in the request being cancelled." … "If the request being cancelled contains a
    // Route header field, the CANCEL request MUST include that Route header field's values."
    let to = invite.to().text;
    derived(invite, "CANCEL", to, reason)
}

/// The ACK for a final response other than 2xx to an INVITE that we sent.
pub fn ack_for(invite: &Request, response: &Response) -> Bytes {
    // RFC 3261 §17.1.1.3: as CANCEL, but "The To header field in the ACK MUST equal the To header field in the response
    // being acknowledged".
    derived(invite, "ACK", response.to().text, None)
}

fn derived(invite: &Request, method: &str, to: &[u8], reason: Option<&[u8]>) -> Bytes {
    let mut out = Vec::with_capacity(400);
    let mut line = |parts: &[&[u8]]| {
        for part in parts {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(b"\r\n");
    };
    line(&[method.as_bytes(), b" ", invite.uri().text, b" SIP/2.0"]);
    line(&[b"Via: ", invite.top_via().text]);
    for route in invite.lines(Name::Route) {
        line(&[b"Route: ", route]);
    }
    line(&[b"Max-Forwards: 70"]);
    line(&[b"From: ", invite.from().text]);
    line(&[b"To: ", to]);
    line(&[b"Call-ID: ", invite.call_id()]);
    line(&[b"CSeq: ", invite.cseq().number.to_string().as_bytes(), b" ", method.as_bytes()]);
    if let Some(reason) = reason {
        line(&[b"Reason: ", reason]);
    }
    line(&[b"Content-Length: 0"]);
    line(&[]);
    Bytes::from(out)
}
