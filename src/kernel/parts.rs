//! How does the helper that stands inside answer, when it may neither allocate nor be trusted with a length?
//! Into memory that both share, part after part: which part, an errno or 0, how many bytes, the bytes.
//!
//! Next: `inside`, which fills it, and `join`, which reads it.

use super::Errno;

/// What the helper was asked for. The number is what stands in a part's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Part {
    JoinCgroup = 1,
    JoinUts,
    JoinNet,
    JoinMnt,
    JoinUser,
    Root,
    Hostname,
    Status,
    Cgroup,
    RootEntries,
    Processes,
    Devices,
    Links,
    Addresses,
    Routes,
    EtcHostname,
    EtcHosts,
    EtcResolv,
    /// The last one: its absence says that the helper did not come to its end.
    End,
}

const HEAD: usize = 12;

/// The writing end, in the helper.
pub struct Writer<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl<'a> Writer<'a> {
    pub fn new(room: &'a mut [u8]) -> Writer<'a> {
        Writer { room, used: 0 }
    }

    /// Let `fill` write one part, at most `most` bytes of it; it says how many bytes those were.
    pub fn part(&mut self, part: Part, most: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) {
        let Some(rest) = self.room.get_mut(self.used..) else { return };
        if rest.len() < HEAD {
            return;
        }
        let (head, body) = rest.split_at_mut(HEAD);
        let most = most.min(body.len());
        let (errno, length) = match body.get_mut(..most).map(fill) {
            Some(Ok(length)) => (0, length.min(most)),
            Some(Err(errno)) => (errno.0.max(1) as u32, 0),
            None => (1, 0),
        };
        for (place, number) in head.chunks_exact_mut(4).zip([part as u32, errno, length as u32]) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        self.used += HEAD + length;
    }
}

/// One part out of what was written; None when the helper never came to it.
pub fn find(mut bytes: &[u8], wanted: Part) -> Option<Result<&[u8], Errno>> {
    loop {
        let (part, rest) = number(bytes)?;
        let (errno, rest) = number(rest)?;
        let (length, rest) = number(rest)?;
        if part == 0 {
            return None;
        }
        let body = rest.get(..length as usize)?;
        if part == wanted as u32 {
            return Some(if errno == 0 { Ok(body) } else { Err(Errno(errno as i32)) });
        }
        bytes = rest.get(length as usize..)?;
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (four, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_ne_bytes(*four), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_and_what_is_cut_off_is_not() {
        let mut room = [0; 100];
        let mut writer = Writer::new(&mut room);
        writer.part(Part::Hostname, 10, |room| {
            room[..3].copy_from_slice(b"web");
            Ok(3)
        });
        writer.part(Part::Status, 10, |_| Err(Errno::EACCES));
        writer.part(Part::Links, 4, |room| Ok(room.len() + 1000));
        assert_eq!(find(&room, Part::Hostname), Some(Ok(&b"web"[..])));
        assert_eq!(find(&room, Part::Status), Some(Err(Errno::EACCES)));
        assert_eq!(find(&room, Part::Links).unwrap().unwrap().len(), 4);
        assert_eq!(find(&room, Part::End), None);
        assert_eq!(find(&room[..14], Part::Hostname), None);
        assert_eq!(find(&[0xff; 40], Part::End), None);
    }
}
