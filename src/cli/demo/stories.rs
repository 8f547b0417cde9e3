//! The calls: each a story with what must come of it. A story that does not go as it should says what was missing.

use std::time::Duration;

use super::stage::{SWITCHBOARD, Stage, TRUNK};
use crate::peer::{CallEvent, CallKey, EndedBy};

/// Longer than anything here takes; a story that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(4);
/// So long people talk.
const TALK: Duration = Duration::from_millis(300);

/// The phones, by the names of their columns.
pub(super) const ASHA: &str = "221 Asha";
pub(super) const RAVI: &str = "222 Ravi";
pub(super) const MEENA: &str = "223 Meena";
pub(super) const ASHA_AT_GLOBEX: &str = "305 Asha";
pub(super) const BRUNO: &str = "306 Bruno";
pub(super) const CAROL: &str = "307 Carol";

/// Why a story did not go as it should.
pub(super) type Wrong = String;

/// Three phones ring at once, one answers, the others are told that it was answered elsewhere. The call goes on.
pub(super) async fn simultaneous(stage: &mut Stage) -> Result<CallKey, Wrong> {
    stage.begin(&[TRUNK, SWITCHBOARD, ASHA, RAVI, MEENA]);
    let call = call(stage, "08041234567", "09811112222")?;
    must(stage, "Asha to be connected", |stage| {
        stage.trunk_saw(call, is_answered) && stage.saw(ASHA, |event| matches!(event, CallEvent::AckReceived))
    })
    .await?;
    for phone in [RAVI, MEENA] {
        must(stage, &format!("{phone} to be cancelled with \"Call completed elsewhere\""), |stage| {
            stage.saw(phone, |event| match event {
                CallEvent::Cancelled { reason } => {
                    reason.as_deref().is_some_and(|reason| reason.contains("Call completed elsewhere"))
                }
                _ => false,
            })
        })
        .await?;
    }
    stage.play(TALK).await.map_err(|error| error.to_string())?;
    Ok(call)
}

/// Asha talks for acme; a call to her at globex finds her busy and overflows to Bruno. Both calls end.
pub(super) async fn overflow(stage: &mut Stage, at_acme: CallKey) -> Result<(), Wrong> {
    stage.begin(&[TRUNK, SWITCHBOARD, ASHA, ASHA_AT_GLOBEX, BRUNO]);
    stage.note("Asha is talking for acme");
    let call = call(stage, "00442079460123", "09811113333")?;
    must(stage, "Bruno to be connected", |stage| {
        stage.trunk_saw(call, is_answered) && stage.saw(BRUNO, |event| matches!(event, CallEvent::AckReceived))
    })
    .await?;
    if stage.saw(ASHA_AT_GLOBEX, |event| matches!(event, CallEvent::Ringing { .. })) {
        return Err("Asha's phone at globex rang while she was talking for acme".into());
    }
    stage.play(TALK).await.map_err(|error| error.to_string())?;
    hang_up(stage, call).await?;
    hang_up(stage, at_acme).await
}

/// Accounts is closed today: the caller is told so, with a cause, and nobody rings.
pub(super) async fn after_hours(stage: &mut Stage) -> Result<(), Wrong> {
    stage.begin(&[TRUNK, SWITCHBOARD, ASHA, RAVI, MEENA]);
    let call = call(stage, "08041234568", "09811114444")?;
    must(stage, "480 with Q.850 cause 31", |stage| {
        stage.trunk_saw(call, |event| match event {
            CallEvent::Refused { status: 480, reason, .. } => {
                reason.as_deref().is_some_and(|reason| reason.contains("Q.850") && reason.contains("cause=31"))
            }
            _ => false,
        })
    })
    .await?;
    if stage.seen().iter().any(|seen| seen.who != TRUNK) {
        return Err("a phone rang although the number is closed".into());
    }
    Ok(())
}

/// Carol is talking; the next caller waits (182) and is hers the moment she is free.
pub(super) async fn queue(stage: &mut Stage) -> Result<(), Wrong> {
    stage.begin(&[TRUNK, SWITCHBOARD, CAROL]);
    let first = call(stage, "00442079460124", "09811115555")?;
    must(stage, "the first caller to be connected", |stage| stage.trunk_saw(first, is_answered)).await?;
    stage.note("a second caller, while Carol is talking");
    let second = call(stage, "00442079460124", "09811116666")?;
    must(stage, "182 Queued for the second caller", |stage| {
        stage.trunk_saw(second, |event| matches!(event, CallEvent::Progress { status: 182, .. }))
    })
    .await?;
    stage.play(TALK).await.map_err(|error| error.to_string())?;
    if stage.trunk_saw(second, is_answered) {
        return Err("the second caller was connected while Carol was talking to the first".into());
    }
    stage.note("the first caller hangs up");
    hang_up(stage, first).await?;
    must(stage, "the second caller to be connected", |stage| stage.trunk_saw(second, is_answered)).await?;
    stage.play(TALK).await.map_err(|error| error.to_string())?;
    hang_up(stage, second).await
}

fn call(stage: &mut Stage, number: &str, caller: &str) -> Result<CallKey, Wrong> {
    stage.trunk(|trunk, now| trunk.call(now, number, caller)).ok_or_else(|| "there is no trunk".into())
}

async fn hang_up(stage: &mut Stage, call: CallKey) -> Result<(), Wrong> {
    stage.trunk(|trunk, now| trunk.hang_up(now, call));
    must(stage, "the BYE to be answered", |stage| {
        stage.trunk_saw(call, |event| matches!(event, CallEvent::Ended { by: EndedBy::Us }))
    })
    .await
}

fn is_answered(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Answered { .. })
}

async fn must(stage: &mut Stage, what: &str, is_so: impl Fn(&Stage) -> bool) -> Result<(), Wrong> {
    match stage.until(PATIENCE, is_so).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("waited {} s for {what}", PATIENCE.as_secs())),
        Err(error) => Err(format!("a socket failed: {error}")),
    }
}
