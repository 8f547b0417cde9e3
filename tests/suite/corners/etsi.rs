//! Test purposes of ETSI TS 102 027-2 that concern a proxy or a registrar and whose subject is known: see
//! `docs/corners.md`.

use super::super::script::{TRUNK, seconds};
use super::{departures, gaps, phones, sales, to_nobody};

/// SIP_CC_PR_TR_SE_TI_004 (RFC 3261 §17.2.1): over UDP the proxy's INVITE server transaction sends a final response
/// that is not 2xx again after T1, then after MIN(2·T1, T2), then after MIN(4·T1, T2), while no ACK has come.
#[test]
fn etsi_sip_cc_pr_tr_se_ti_004_a_final_response_is_repeated_at_t1_2_t1_and_4_t1() {
    let mut world = phones(sales(), 0);
    let mut caller = to_nobody("etsi");
    let invite = caller.request("INVITE", "", "");
    world.inject(TRUNK, invite.as_bytes());
    let times = departures(&mut world, TRUNK, "SIP/2.0 404", seconds(4));
    assert_eq!(gaps(&times), [500, 1000, 2000]);
    let failure = world.expect(TRUNK, "SIP/2.0 404");
    world.inject(TRUNK, caller.ack_failure(&failure).as_bytes());
    assert!(departures(&mut world, TRUNK, "SIP/2.0 404", seconds(10)).is_empty());
    world.end();
}
