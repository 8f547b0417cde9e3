//! The faults of a seed: what may go wrong in its world, how often and how badly. A tenth of all seeds has none.

use std::fmt;

use super::dice::Dice;

/// Chances are in thousandths, lengths in milliseconds, unless they say otherwise. Zero is: never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub link: LinkFaults,
    pub phone: PhoneFaults,
    pub trunk: TrunkFaults,
    pub attack: AttackFaults,
    pub time: TimeFaults,
    pub process: ProcessFaults,
    pub config: ConfigFaults,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFaults {
    pub loss: u64,
    /// Gilbert and Elliott: a link turns bad with this chance a datagram, loses four fifths while it is, and recovers with a tenth.
    pub burst: u64,
    pub duplicate: u64,
    pub delay: u64,
    pub jitter: u64,
    /// How long all links are dead, once.
    pub black_hole: u64,
    /// How long one phone hears nothing while it is heard, once.
    pub one_way: u64,
    /// Datagrams longer than that are dropped; 0: none.
    pub longest: usize,
    pub truncate: u64,
    pub flip: u64,
    /// A lost datagram of ours is reported as undeliverable.
    pub unreachable: u64,
    /// A phone's address changes under it this often while it is in the world.
    pub rebind: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhoneFaults {
    /// Never answers an INVITE at all.
    pub silent: u64,
    /// Rings only.
    pub ring_only: u64,
    /// 486, 480, 503, 603, 302, 500.
    pub refuse: u64,
    /// 200 without any provisional.
    pub at_once: u64,
    /// 200 although a CANCEL came (before or after the CANCEL's own 200).
    pub answer_despite_cancel: u64,
    /// 180s of several To tags before the final.
    pub several_tags: u64,
    /// 200s under two tags.
    pub two_answers: u64,
    /// Changes something in the Via or the tag of a response.
    pub bent_responses: u64,
    /// Dies in a call without BYE.
    pub dies: u64,
    /// Boots again on a new port and registers with its `+sip.instance`.
    pub reboots: u64,
    /// Registers again while it rings.
    pub registers_ringing: u64,
    /// re-INVITE in a call, at the same time as the other side now and then.
    pub reinvite: u64,
    /// Repeats its 200 although the ACK came.
    pub repeats_answer: u64,
    /// Hangs up (else the caller does).
    pub hangs_up: u64,
    /// Sends a REGISTER before the one before it is answered.
    pub impatient: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkFaults {
    /// CANCEL at any moment.
    pub cancel: u64,
    /// CANCEL the moment an answer is on its way, or just before.
    pub cancel_late: u64,
    /// Repeats its INVITE after the final response.
    pub repeats_invite: u64,
    /// A second INVITE with the Call-ID, From tag and CSeq of another, on another branch (merged), or a new call with an old Call-ID.
    pub same_call_id: u64,
    /// Never sends ACK.
    pub no_ack: u64,
    /// Many calls in one millisecond: how many.
    pub burst: u64,
    /// Sends our own requests back to us (a loop).
    pub loops: u64,
    /// BYE twice, BYE at the same time as the phone.
    pub double_bye: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttackFaults {
    /// Each: how many such acts in this world.
    pub scans: u64,
    pub guesses: u64,
    pub replays: u64,
    pub spoofs: u64,
    pub floods: u64,
    pub smuggles: u64,
    pub hostile_contacts: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeFaults {
    /// How often the process stands still, and how long at most.
    pub pauses: u64,
    pub pause: u64,
    /// How often the wall's clock jumps, and how far at most, either way.
    pub jumps: u64,
    pub jump: u64,
    /// The world begins shortly before a change of summer time, a year's end, or an edge of the hours.
    pub edge: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFaults {
    /// How often it is killed between two outputs.
    pub kills: u64,
    /// How often inside a write of the journal.
    pub torn: u64,
    /// How often the disk is slow, and how long.
    pub slow: u64,
    pub slowness: u64,
    /// How often the disk is full for a while.
    pub full: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFaults {
    /// How often a right version is adopted.
    pub reloads: u64,
    /// How often a broken one is given.
    pub broken: u64,
    /// Reloads may take users, numbers, companies away.
    pub removals: bool,
    /// Reloads may change the sockets.
    pub listeners: bool,
    /// How often an admin pauses, resumes, or a user goes away.
    pub switches: u64,
}

impl Faults {
    /// Those of a seed: each fault is on in some seeds and off in others (swarm testing), all are off in a tenth.
    pub fn drawn(seed: u64) -> Faults {
        let mut dice = Dice::of_their_own(seed, "faults", 0);
        if dice.thousandths(100) {
            return Faults::default();
        }
        // How much of everything: some worlds have two or three faults, some have most of them.
        let share = dice.of(&[150, 300, 500, 700]);
        let dice = &mut dice;
        let mut pick = |choices: &[u64]| if dice.thousandths(share) { dice.of(choices) } else { 0 };
        let mut faults = Faults {
            link: LinkFaults {
                loss: pick(&[1, 10, 50, 100, 300]),
                burst: pick(&[2, 10, 30]),
                duplicate: pick(&[10, 50, 200]),
                delay: pick(&[5, 50, 150, 300]),
                jitter: pick(&[5, 50, 300, 1000]),
                black_hole: pick(&[1_000, 10_000, 40_000, 120_000]),
                one_way: pick(&[5_000, 30_000, 120_000]),
                longest: usize::try_from(pick(&[1_300, 1_500])).unwrap_or_default(),
                truncate: pick(&[1, 5, 20]),
                flip: pick(&[1]),
                unreachable: pick(&[200, 1000]),
                rebind: pick(&[1, 2, 5]),
            },
            phone: PhoneFaults {
                silent: pick(&[30, 150]),
                ring_only: pick(&[50, 200, 500]),
                refuse: pick(&[50, 200, 500]),
                at_once: pick(&[50, 300]),
                answer_despite_cancel: pick(&[100, 500, 1000]),
                several_tags: pick(&[50, 300]),
                two_answers: pick(&[30, 200]),
                bent_responses: pick(&[20, 100]),
                dies: pick(&[10, 100]),
                reboots: pick(&[10, 100]),
                registers_ringing: pick(&[50, 300]),
                reinvite: pick(&[50, 300]),
                repeats_answer: pick(&[50, 300]),
                hangs_up: pick(&[300, 700]),
                impatient: 0,
            },
            trunk: TrunkFaults {
                cancel: pick(&[50, 200, 500]),
                cancel_late: pick(&[50, 300]),
                repeats_invite: pick(&[50, 300]),
                same_call_id: pick(&[20, 100]),
                no_ack: pick(&[20, 200]),
                burst: pick(&[5, 20, 100]),
                loops: pick(&[20, 100]),
                double_bye: pick(&[50, 300]),
            },
            attack: AttackFaults {
                scans: pick(&[5, 30]),
                guesses: pick(&[5, 30]),
                replays: pick(&[5, 30]),
                spoofs: pick(&[5, 30]),
                floods: pick(&[50, 200]),
                smuggles: pick(&[5, 20]),
                hostile_contacts: pick(&[2, 10]),
            },
            time: TimeFaults {
                pauses: pick(&[1, 3]),
                pause: pick(&[200, 5_000, 60_000, 600_000]),
                jumps: pick(&[1, 3]),
                jump: pick(&[1_000, 60_000, 3_600_000, 86_400_000]),
                edge: pick(&[1]) == 1,
            },
            process: ProcessFaults {
                kills: pick(&[1, 2, 5]),
                torn: pick(&[1, 2]),
                slow: pick(&[1, 3]),
                slowness: pick(&[100, 5_000]),
                full: pick(&[1]),
            },
            config: ConfigFaults {
                reloads: pick(&[1, 3, 8]),
                broken: pick(&[1, 3]),
                removals: pick(&[1]) == 1,
                listeners: pick(&[1]) == 1,
                switches: pick(&[3, 10]),
            },
        };
        // Added later, with dice of its own: the rest of a world stays as it was.
        let mut dice = Dice::of_their_own(seed, "impatience", 0);
        if dice.thousandths(300) {
            faults.phone.impatient = dice.of(&[100, 500]);
        }
        faults
    }

    /// Whether nothing goes wrong.
    pub fn none(&self) -> bool {
        *self == Faults::default()
    }
}

/// What leaves one fault out.
type Knob = fn(&mut Faults);

impl Faults {
    /// Each leaves one fault out.
    pub const KNOBS: [Knob; 57] = [
        |faults| faults.link.loss = 0,
        |faults| faults.link.burst = 0,
        |faults| faults.link.duplicate = 0,
        |faults| faults.link.delay = 0,
        |faults| faults.link.jitter = 0,
        |faults| faults.link.black_hole = 0,
        |faults| faults.link.one_way = 0,
        |faults| faults.link.longest = 0,
        |faults| faults.link.truncate = 0,
        |faults| faults.link.flip = 0,
        |faults| faults.link.unreachable = 0,
        |faults| faults.link.rebind = 0,
        |faults| faults.phone.silent = 0,
        |faults| faults.phone.ring_only = 0,
        |faults| faults.phone.refuse = 0,
        |faults| faults.phone.at_once = 0,
        |faults| faults.phone.answer_despite_cancel = 0,
        |faults| faults.phone.several_tags = 0,
        |faults| faults.phone.two_answers = 0,
        |faults| faults.phone.bent_responses = 0,
        |faults| faults.phone.dies = 0,
        |faults| faults.phone.reboots = 0,
        |faults| faults.phone.registers_ringing = 0,
        |faults| faults.phone.reinvite = 0,
        |faults| faults.phone.repeats_answer = 0,
        |faults| faults.phone.hangs_up = 0,
        |faults| faults.phone.impatient = 0,
        |faults| faults.trunk.cancel = 0,
        |faults| faults.trunk.cancel_late = 0,
        |faults| faults.trunk.repeats_invite = 0,
        |faults| faults.trunk.same_call_id = 0,
        |faults| faults.trunk.no_ack = 0,
        |faults| faults.trunk.burst = 0,
        |faults| faults.trunk.loops = 0,
        |faults| faults.trunk.double_bye = 0,
        |faults| faults.attack.scans = 0,
        |faults| faults.attack.guesses = 0,
        |faults| faults.attack.replays = 0,
        |faults| faults.attack.spoofs = 0,
        |faults| faults.attack.floods = 0,
        |faults| faults.attack.smuggles = 0,
        |faults| faults.attack.hostile_contacts = 0,
        |faults| faults.time.pauses = 0,
        |faults| faults.time.pause = 0,
        |faults| faults.time.jumps = 0,
        |faults| faults.time.jump = 0,
        |faults| faults.time.edge = false,
        |faults| faults.process.kills = 0,
        |faults| faults.process.torn = 0,
        |faults| faults.process.slow = 0,
        |faults| faults.process.slowness = 0,
        |faults| faults.process.full = 0,
        |faults| faults.config.reloads = 0,
        |faults| faults.config.broken = 0,
        |faults| faults.config.removals = false,
        |faults| faults.config.listeners = false,
        |faults| faults.config.switches = 0,
    ];

    /// Their names.
    pub const KNOB_NAMES: [&str; 57] = [
        "link.loss",
        "link.burst",
        "link.duplicate",
        "link.delay",
        "link.jitter",
        "link.black_hole",
        "link.one_way",
        "link.longest",
        "link.truncate",
        "link.flip",
        "link.unreachable",
        "link.rebind",
        "phone.silent",
        "phone.ring_only",
        "phone.refuse",
        "phone.at_once",
        "phone.answer_despite_cancel",
        "phone.several_tags",
        "phone.two_answers",
        "phone.bent_responses",
        "phone.dies",
        "phone.reboots",
        "phone.registers_ringing",
        "phone.reinvite",
        "phone.repeats_answer",
        "phone.hangs_up",
        "phone.impatient",
        "trunk.cancel",
        "trunk.cancel_late",
        "trunk.repeats_invite",
        "trunk.same_call_id",
        "trunk.no_ack",
        "trunk.burst",
        "trunk.loops",
        "trunk.double_bye",
        "attack.scans",
        "attack.guesses",
        "attack.replays",
        "attack.spoofs",
        "attack.floods",
        "attack.smuggles",
        "attack.hostile_contacts",
        "time.pauses",
        "time.pause",
        "time.jumps",
        "time.jump",
        "time.edge",
        "process.kills",
        "process.torn",
        "process.slow",
        "process.slowness",
        "process.full",
        "config.reloads",
        "config.broken",
        "config.removals",
        "config.listeners",
        "config.switches",
    ];
}

impl fmt::Display for Faults {
    /// Those that are on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.none() {
            return f.write_str("none");
        }
        let text = format!("{self:?}");
        let on = text.split([',', '{', '}']).map(str::trim).filter(|part| part.contains(": "));
        let on: Vec<&str> = on.filter(|part| !part.ends_with(": 0") && !part.ends_with(": false")).collect();
        f.write_str(&on.join(", "))
    }
}
