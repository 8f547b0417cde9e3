//! Which of the datagrams that the engine heard are whole: what was bent or cut on its way is not. And which are as their senders meant
//! them: of the whole ones, all but what a peer says in a call, or about a registration, of which it was itself told something bent. It
//! may repeat that.

use ahash::{AHashMap, AHashSet};

use super::super::history::{Datagram, History, Role, What};

/// By the place of the entry. Everything else than what was heard is intact.
#[derive(Debug)]
pub(super) struct Intact(Vec<Way>);

/// How something came to be what the engine heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Meant,
    /// Whole, from a peer that was told something bent about it.
    Misled,
    Bent,
}

impl Intact {
    pub(super) fn of(history: &History) -> Intact {
        let mut given: AHashMap<u64, &Datagram> = AHashMap::new();
        let mut misled: AHashSet<(Option<Role>, &str)> = AHashSet::new();
        let is_bent = |given: &AHashMap<u64, &Datagram>, datagram: &Datagram| {
            given.get(&datagram.id).is_some_and(|given| given.bytes != datagram.bytes)
        };
        let mut intact = Vec::with_capacity(history.entries.len());
        for entry in &history.entries {
            let mut way = Way::Meant;
            match &entry.what {
                What::Put(datagram) | What::Sent(datagram) => {
                    given.insert(datagram.id, datagram);
                }
                What::Delivered(datagram) if is_bent(&given, datagram) => {
                    let peer = history.role(datagram.to);
                    let meant = given.get(&datagram.id).and_then(|given| given.message.as_ref());
                    let told = [meant, datagram.message.as_ref()].into_iter().flatten();
                    misled.extend(told.map(|message| (peer, message.call_id())));
                }
                What::Heard(datagram) => {
                    let call_id = datagram.message.as_ref().map(|message| message.call_id());
                    let repeats = |call_id| misled.contains(&(history.role(datagram.from), call_id));
                    way = match is_bent(&given, datagram) {
                        true => Way::Bent,
                        false if call_id.is_some_and(repeats) => Way::Misled,
                        false => Way::Meant,
                    };
                }
                _ => {}
            }
            intact.push(way);
        }
        Intact(intact)
    }

    /// As its sender meant it.
    pub(super) fn is(&self, place: usize) -> bool {
        self.way(place) == Way::Meant
    }

    /// As its sender sent it, whatever that was.
    pub(super) fn is_whole(&self, place: usize) -> bool {
        self.way(place) != Way::Bent
    }

    fn way(&self, place: usize) -> Way {
        self.0.get(place).copied().unwrap_or(Way::Meant)
    }
}

#[cfg(test)]
mod tests {
    use super::super::staged::{DAEMON, PHONE, Stage, TRUNK, request};
    use super::*;

    /// What is asked of everything that was heard.
    fn places(stage: &Stage, question: fn(&Intact, usize) -> bool) -> Vec<bool> {
        let intact = Intact::of(stage.history());
        let heard =
            stage.history().entries.iter().enumerate().filter(|(_, entry)| matches!(entry.what, What::Heard(_)));
        heard.map(|(place, _)| question(&intact, place)).collect()
    }

    #[test]
    fn what_was_bent_on_its_way_is_not_intact_and_the_next_is() {
        let mut stage = Stage::new();
        let bye = request("BYE", PHONE, "z9hG4bK1", "221@acme.example", "t", "");
        stage.heard(PHONE, &bye).heard_as(PHONE, &bye, bye.replace("Call-ID: one", "Call-ID: ono")).heard(PHONE, &bye);
        assert_eq!(places(&stage, Intact::is), [true, false, true]);
        assert_eq!(places(&stage, Intact::is_whole), [true, false, true]);
    }

    #[test]
    fn who_was_told_something_bent_may_repeat_it_in_that_call_only() {
        let mut stage = Stage::new();
        let bye = request("BYE", DAEMON, "z9hG4bK1", "221@acme.example", "t", "");
        stage.delivered_as(PHONE, &bye, &bye.replace("<sip:221", "<sip:22\x15"));
        let answer = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK1\r\nCall-ID: one\r\nCSeq: 1 BYE\r\n\r\n";
        stage.heard(PHONE, answer).heard(PHONE, answer.replace("one", "two")).heard(TRUNK, answer);
        assert_eq!(places(&stage, Intact::is), [false, true, true]);
        assert_eq!(places(&stage, Intact::is_whole), [true, true, true], "it is whole what they repeat");
    }
}
