//! The journal's bytes: a header, then frames. Pure; files are the business of `journal`.
//!
//! ```text
//! header   magic (8)  version (4)  identity of the store (16)  CRC-32 of these (4)
//! frame    length of number and change (4)  CRC-32 (4)  number (8)  change (MessagePack)
//! ```
//!
//! A frame's CRC-32 is of the identity, length, number and change: what a peer sends is in a change as it came, and without knowing the
//! identity nobody can send what looks like a frame.
//!
//! Numbers are little-endian. A process that is killed while it appends leaves a beginning of what it wrote: the last frame may
//! be short. Whatever else is wrong is damage, in the last frame too: a frame whose bytes are all there and whose checksum is wrong
//! was written whole, and what followed from it may have been sent.

use std::ops::Range;

use super::change::{Change, Number};
use super::encoding;

/// Tells the store a journal belongs to from every other.
pub type Identity = [u8; 16];

const MAGIC: [u8; 8] = *b"SWBDjrnl";

/// The version of this format.
pub(super) const VERSION: u32 = 1;

/// How long a header is.
pub(super) const HEADER: usize = 32;

/// The most bytes of a file. No version may write more than this: a frame that would reach beyond it is damage.
pub(super) const MOST: u64 = 32 << 20;

/// Length and CRC-32 before the number.
const PREFIX: usize = 8;

/// A frame's number.
const NUMBER: usize = 8;

/// The header of a journal of that store.
pub(super) fn header(identity: &Identity) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let mut rest = &mut bytes[..];
    for part in [&MAGIC[..], &VERSION.to_le_bytes(), identity] {
        put(&mut rest, part);
    }
    let crc = crc32fast::hash(bytes.get(..HEADER - 4).unwrap_or_default());
    let mut rest = bytes.get_mut(HEADER - 4..).unwrap_or_default();
    put(&mut rest, &crc.to_le_bytes());
    bytes
}

fn put(rest: &mut &mut [u8], part: &[u8]) {
    let (head, tail) = std::mem::take(rest).split_at_mut(part.len());
    head.copy_from_slice(part);
    *rest = tail;
}

/// What the beginning of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A journal of that store.
    Journal(Identity),
    /// The process that made it was killed before the header was whole: it holds nothing.
    Unfinished,
    /// Something else.
    Foreign,
    /// A later version's.
    Newer(u32),
    /// Ours once.
    Damaged,
}

/// Reads the header of a file's bytes.
pub(super) fn head(bytes: &[u8]) -> Head {
    let Some(header) = bytes.get(..HEADER) else {
        let length = bytes.len().min(MAGIC.len());
        return if bytes.get(..length) == MAGIC.get(..length) { Head::Unfinished } else { Head::Foreign };
    };
    if !header.starts_with(&MAGIC) {
        return Head::Foreign;
    }
    match word(header, 8) {
        Some(VERSION) => {}
        Some(other) => return Head::Newer(other),
        None => return Head::Damaged,
    }
    let crc = header.get(..HEADER - 4).map(crc32fast::hash);
    match header.get(12..28).map(Identity::try_from) {
        Some(Ok(identity)) if crc == word(header, HEADER - 4) => Head::Journal(identity),
        Some(_) | None => Head::Damaged,
    }
}

/// Appends a change's frame. A change has a MessagePack form, and one that fits: otherwise nothing is appended.
///
/// # Errors
/// In words; a defect.
pub(super) fn append(frames: &mut Vec<u8>, identity: &Identity, number: Number, change: &Change) -> Result<(), String> {
    let change = encoding::encode(change)?;
    let length =
        u32::try_from(NUMBER + change.len()).map_err(|_| "a change of more than 4 GiB".to_owned())?.to_le_bytes();
    let number = number.0.to_le_bytes();
    let crc = checksum(identity, [&length[..], &number, &change]);
    for part in [&length[..], &crc.to_le_bytes(), &number, &change] {
        frames.extend_from_slice(part);
    }
    Ok(())
}

fn checksum<const N: usize>(identity: &Identity, parts: [&[u8]; N]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(identity);
    for part in parts {
        crc.update(part);
    }
    crc.finalize()
}

/// The frames of a file, headers and changes still as bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// Whole frames: their numbers, and where in the file their changes are.
    pub(super) frames: Vec<(Number, Range<usize>)>,
    /// How the file ends.
    pub(super) end: End,
}

/// How a file ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Behind a frame.
    Whole,
    /// Within the last frame, which begins there.
    Torn(usize),
    /// What begins there is no frame, and not the beginning of one.
    Damaged(usize),
}

/// Walks through a file's bytes, from behind the header.
pub(super) fn walk(bytes: &[u8], identity: &Identity) -> Walk {
    let (mut frames, mut at) = (Vec::new(), HEADER);
    let mut last = Number(0);
    while at < bytes.len() {
        let Some((number, change)) = frame(bytes, identity, at).filter(|(number, _)| *number > last) else {
            let end = if is_torn(bytes, identity, at, last) { End::Torn(at) } else { End::Damaged(at) };
            return Walk { frames, end };
        };
        (at, last) = (change.end, number);
        frames.push((number, change));
    }
    Walk { frames, end: End::Whole }
}

/// Whether what is left from there on can be all that was written of a frame behind the one of that number.
fn is_torn(bytes: &[u8], identity: &Identity, at: usize, last: Number) -> bool {
    let left = bytes.get(at..).unwrap_or_default();
    let Some(length) = word(left, 0).and_then(|length| usize::try_from(length).ok()) else { return true };
    let end = at.saturating_add(PREFIX).saturating_add(length);
    // Such a frame would be whole, or nobody wrote it.
    if length < NUMBER || end <= bytes.len() || u64::try_from(end).is_ok_and(|end| end > MOST) {
        return false;
    }
    // The length itself may be what is damaged: then the frame ends with the file, or whole ones come after it.
    let ends_here = left.get(PREFIX..).is_some_and(|body| {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        word(left, 4) == Some(checksum(identity, [&length, body]))
    });
    let whole = |later| frame(bytes, identity, later).is_some_and(|(number, _)| number > last);
    !ends_here && !(at + 1..bytes.len()).any(whole)
}

/// The frame that begins there, if one does and is whole.
fn frame(bytes: &[u8], identity: &Identity, at: usize) -> Option<(Number, Range<usize>)> {
    let length = usize::try_from(word(bytes, at)?).ok()?;
    let body = at.checked_add(PREFIX)?..at.checked_add(PREFIX)?.checked_add(length)?;
    let number = u64::from_le_bytes(bytes.get(body.clone())?.get(..NUMBER)?.try_into().ok()?);
    let crc = checksum(identity, [bytes.get(at..at + 4)?, bytes.get(body.clone())?]);
    (crc == word(bytes, at + 4)?).then(|| (Number(number), body.start + NUMBER..body.end))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::samples;

    const IDENTITY: Identity = *b"0123456789abcdef";

    /// A file with those changes, and where each frame ends.
    fn file(changes: &[Change]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (header(&IDENTITY).to_vec(), Vec::new());
        for (number, change) in (1..).zip(changes) {
            append(&mut bytes, &IDENTITY, Number(number), change).unwrap();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn a_header_is_read_as_it_is_written() {
        let bytes = header(&IDENTITY);
        assert_eq!(head(&bytes), Head::Journal(IDENTITY));
        for length in 0..HEADER {
            assert_eq!(head(&bytes[..length]), Head::Unfinished, "{length}");
        }
        assert_eq!(head(b"#!/bin/sh"), Head::Foreign);
        assert_eq!(head(&[0; 100]), Head::Foreign);
        for (at, expected) in [(0, Head::Foreign), (8, Head::Newer(2)), (12, Head::Damaged), (31, Head::Damaged)] {
            let mut other = bytes;
            other[at] = if at == 8 { 2 } else { other[at] ^ 1 };
            assert_eq!(head(&other), expected, "{at}");
        }
    }

    #[test]
    fn damage_that_reaches_into_the_last_frame_is_no_torn_end() {
        let changes: Vec<Change> = (1..=3).map(samples::pointer).collect();
        let (mut bytes, ends) = file(&changes);
        for byte in &mut bytes[ends[1] - 2..ends[1] + 2] {
            *byte ^= 0xff;
        }
        let walked = walk(&bytes, &IDENTITY);
        assert_eq!(walked.frames.len(), 1);
        assert_eq!(walked.end, End::Damaged(ends[0]), "two changes are gone, and a kill leaves one unfinished");
    }

    #[test]
    fn a_last_frame_that_is_all_there_and_wrong_was_not_torn() {
        let changes: Vec<Change> = (1..=2).map(samples::pointer).collect();
        let (sound, ends) = file(&changes);
        let last = ends[0];
        let with = |at: usize, byte: u8| {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            walk(&bytes, &IDENTITY).end
        };
        assert_eq!(with(sound.len() - 1, 0xc1), End::Damaged(last), "its change");
        assert_eq!(with(last + 4, !sound[last + 4]), End::Damaged(last), "its checksum");
        assert_eq!(with(last, 3), End::Damaged(last), "a length that no frame has");
        assert_eq!(with(last, 0xff), End::Damaged(last), "its length, as if more were to come");
        assert_eq!(with(last + 3, 0xff), End::Damaged(last), "its length, longer than a journal");
        let mut longer = [sound.clone(), vec![0; 16]].concat();
        assert_eq!(walk(&longer, &IDENTITY).end, End::Damaged(sound.len()), "something else behind it");
        longer.truncate(sound.len() + 3);
        assert_eq!(walk(&longer, &IDENTITY).end, End::Torn(sound.len()), "of which too little is there to tell");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn cut_anywhere_exactly_the_whole_frames_are_there(changes in samples::history(12), cut in any::<prop::sample::Index>()) {
            let (bytes, ends) = file(&changes);
            let cut = HEADER + cut.index(bytes.len() - HEADER + 1);
            let walked = walk(&bytes[..cut], &IDENTITY);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            prop_assert_eq!(walked.frames.len(), whole);
            for ((number, range), (expected, change)) in walked.frames.iter().zip((1..).zip(&changes)) {
                prop_assert_eq!(number.0, expected);
                prop_assert_eq!(&encoding::decode::<Change>(&bytes[range.clone()]).unwrap(), change);
            }
            let end = whole.checked_sub(1).map_or(HEADER, |last| ends[last]);
            prop_assert_eq!(walked.end, if end == cut { End::Whole } else { End::Torn(end) });
        }

        #[test]
        fn a_flipped_bit_is_found_wherever_it_is(changes in samples::history(6), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            prop_assume!(!changes.is_empty());
            let (mut bytes, ends) = file(&changes);
            let at = HEADER + at.index(bytes.len() - HEADER);
            bytes[at] ^= 1 << bit;
            let hit = ends.iter().filter(|end| **end <= at).count();
            let begins = hit.checked_sub(1).map_or(HEADER, |last| ends[last]);
            let walked = walk(&bytes, &IDENTITY);
            prop_assert_eq!(walked.frames.len(), hit);
            prop_assert_eq!(walked.end, End::Damaged(begins));
        }

        #[test]
        fn bytes_overwritten_before_the_end_are_never_taken_for_a_torn_end(
            changes in samples::history(6),
            at in any::<prop::sample::Index>(),
            comes in prop::collection::vec(any::<u8>(), 1..17),
        ) {
            prop_assume!(changes.len() > 1);
            let (sound, ends) = file(&changes);
            let mut bytes = sound.clone();
            // It begins in a frame that is not the last, and may well end in the next one.
            let at = HEADER + at.index(ends[ends.len() - 2] - HEADER);
            let until = (at + comes.len()).min(bytes.len());
            bytes[at..until].copy_from_slice(&comes[..until - at]);
            let first = bytes.iter().zip(&sound).position(|(one, other)| one != other);
            prop_assume!(first.is_some_and(|first| first < ends[ends.len() - 2]));
            let hit = ends.iter().filter(|end| first.is_some_and(|first| **end <= first)).count();
            let begins = hit.checked_sub(1).map_or(HEADER, |last| ends[last]);
            prop_assert_eq!(walk(&bytes, &IDENTITY).end, End::Damaged(begins));
        }

        #[test]
        fn whatever_a_file_holds_reading_it_ends(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = head(&bytes);
            let _ = walk(&bytes, &IDENTITY);
        }
    }
}
