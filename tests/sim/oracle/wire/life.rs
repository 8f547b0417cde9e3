//! What became of each request that the engine sent, by what was heard for it: RFC 3261 §17.1, and §16.7 for what of it goes up.

use super::{Client, Ending, Life, Line, PATIENCE, Wire, vias};

impl Wire<'_> {
    /// Whether a response is surely one to that request, surely none, or who knows.
    fn judged(&self, line: &Line<'_>, client: &Client) -> Belonging {
        let request = &self.lines[client.first];
        if !line.sure || line.sent_by != request.sent_by {
            return Belonging::Doubtful;
        }
        let same = line.call_id == request.call_id && line.from_tag == request.from_tag && line.cseq == request.cseq;
        let has_next = vias(line.message).nth(1).is_some();
        let own = client.server.is_none();
        match (same, own, has_next || own) {
            (true, _, true) => Belonging::Sure,
            (false, true, _) => Belonging::Doubtful,
            (false, false, _) => Belonging::None,
            // Without a Via for the caller there is nobody to pass it on to (RFC 3261 §16.7 item 3); a failure ends the branch.
            (true, _, false)
                if line.status >= 300
                    && self
                        .servers
                        .get(client.server.unwrap_or(usize::MAX))
                        .is_some_and(|server| self.is_initial(server)) =>
            {
                Belonging::Sure
            }
            (true, _, false) => Belonging::Doubtful,
        }
    }

    pub(super) fn live(&self, index: usize) -> Life {
        let client = &self.clients[index];
        let invite = self.lines[client.first].method == "INVITE";
        let begun = client.revived.map_or(self.lines[client.first].at, |(_, at)| at);
        let mut life = Life::default();
        let kill = self.kill_of(client.epoch).map_or(usize::MAX, |(place, _)| place);
        let silence = self.fired_from(begun + PATIENCE).unwrap_or(usize::MAX);
        let cancel = client.other.map(|other| self.lines[self.clients[other].first].place);
        let given_up = client
            .other
            .filter(|_| invite)
            .and_then(|other| self.fired_from(self.lines[self.clients[other].first].at + PATIENCE));
        let mut proceeding = client.revived.is_some();
        // The places at which it ends by itself, as things stand.
        let ends = |proceeding: bool| {
            let alone = match (invite, proceeding) {
                (true, true) => match (cancel, given_up) {
                    (Some(_), Some(place)) => (place, Ending::GivenUp),
                    _ => (usize::MAX, Ending::GivenUp),
                },
                (true, false) | (false, _) => (silence, Ending::Silence),
            };
            // As long as one copy of an INVITE has left, who hears it may ring.
            let is_last = |place: &usize| {
                let before = |other: usize| other < *place;
                let failed = client.undeliverable.iter().filter(|other| **other <= *place).count();
                failed >= client.copies.iter().filter(|copy| before(self.lines[**copy].place)).count()
            };
            let broken = client.undeliverable.iter().copied().find(|place| !invite || is_last(place));
            let broken = broken.filter(|_| !(invite && proceeding));
            let broken = (broken.unwrap_or(usize::MAX), Ending::Undeliverable);
            [alone, broken, (kill, Ending::Killed)].into_iter().min_by_key(|(place, _)| *place)
        };
        let mut lingers = usize::MAX;
        for heard in &client.heard {
            let line = &self.lines[*heard];
            if life.end.is_none()
                && let Some((place, ending)) = ends(proceeding).filter(|(place, _)| *place < line.place)
            {
                life.end = Some((place, ending));
            }
            match life.end {
                Some((_, Ending::Final(_))) if line.place < lingers.min(kill) => {}
                None => {}
                Some(_) => break,
            }
            match self.judged(line, client) {
                Belonging::None => continue,
                Belonging::Doubtful => {
                    life.doubtful.get_or_insert(line.place);
                    if line.status >= 200 {
                        life.end.get_or_insert((line.place, Ending::Final(line.status)));
                    }
                    proceeding = true;
                    continue;
                }
                Belonging::Sure => {}
            }
            if line.status < 200 {
                proceeding = true;
                if life.end.is_none() {
                    life.provisional.get_or_insert(*heard);
                }
                continue;
            }
            if life.end.is_none() {
                life.last = Some(*heard);
                life.end = Some((line.place, Ending::Final(line.status)));
                // Timers D and M; K matters to nobody.
                lingers = self.fired_from(line.at + PATIENCE).unwrap_or(usize::MAX);
                let broken = client.undeliverable.iter().copied().find(|place| *place > line.place);
                if invite && !line.is_success() {
                    lingers = lingers.min(broken.unwrap_or(usize::MAX));
                }
            }
            if invite {
                let accepted = life.last.is_some_and(|last| self.lines[last].is_success());
                match (accepted, line.is_success()) {
                    (true, true) => life.successes.push(*heard),
                    (false, false) => life.failures.push(*heard),
                    (true, false) | (false, true) => {}
                }
            }
        }
        if life.end.is_none() {
            life.end = ends(proceeding).filter(|(place, _)| *place != usize::MAX);
        }
        life
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belonging {
    Sure,
    None,
    Doubtful,
}
