//! Finding the instant at which the server reports on a ref, in the answer to a push.
//!
//! libgit2 reads on until the whole answer is there, and hooks that run after the branch has moved
//! belong to it. What is measured begins with the report.

/// The longest packet: four digits of a length that includes them.
const LONGEST: usize = 0xffff;

/// Reads an answer as it comes, and looks for the report on one ref.
pub(super) struct Report {
    wanted: [String; 2],
    outer: Vec<u8>,
    inner: Vec<u8>,
    found: bool,
}

impl Report {
    pub(super) fn new(reference: &str) -> Self {
        let wanted = [format!("ok {reference}"), format!("ng {reference} ")];
        Self { wanted, outer: Vec::new(), inner: Vec::new(), found: false }
    }

    /// Takes what has come. True as soon as the report on the ref is among it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        if self.found {
            return true;
        }
        self.outer.extend_from_slice(bytes);
        while let Some(packet) = next_packet(&mut self.outer) {
            match packet.split_first() {
                // Of the side band, the first is the answer itself.
                Some((1, data)) => {
                    self.inner.extend_from_slice(data);
                    while let Some(line) = next_packet(&mut self.inner) {
                        self.found |= self.is_report(&line);
                    }
                }
                Some((2 | 3, _)) | None => {}
                Some(_) => self.found |= self.is_report(&packet),
            }
        }
        self.found
    }

    fn is_report(&self, line: &[u8]) -> bool {
        let [accepted, refused] = &self.wanted;
        line.trim_ascii_end() == accepted.as_bytes() || line.starts_with(refused.as_bytes())
    }
}

/// Takes one whole packet off the front; an empty one for those that only separate.
fn next_packet(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let digits = std::str::from_utf8(bytes.get(..4)?).ok();
    let length = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    let Some(length) = length.filter(|it| *it <= LONGEST) else {
        // No protocol of git; libgit2 will say so.
        bytes.clear();
        return None;
    };
    let end = length.max(4);
    let packet = bytes.get(4..end)?.to_vec();
    bytes.drain(..end);
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Vec<u8> {
        [format!("{:04x}", payload.len() + 4).as_bytes(), payload].concat()
    }

    fn band(number: u8, payload: &[u8]) -> Vec<u8> {
        packet(&[&[number], payload].concat())
    }

    #[test]
    fn t1_the_report_is_found_in_the_side_band_before_the_end_of_the_answer() {
        let lines =
            [packet(b"unpack ok\n"), packet(b"ok refs/heads/main\n"), b"0000".to_vec()].concat();
        let mut report = Report::new("refs/heads/main");
        assert!(!report.take(&band(2, b"ok refs/heads/main\n")));
        let (first, second) = lines.split_at(20);
        assert!(!report.take(&band(1, first)));
        let second = band(1, second);
        let (last, bytes) = second.split_last().unwrap();
        assert!(!report.take(bytes));
        assert!(report.take(&[*last]));
        assert!(report.take(&band(2, b"a hook afterwards")));
    }

    #[test]
    fn t1_a_report_without_a_side_band_or_of_a_refusal_is_one_too() {
        let mut report = Report::new("refs/heads/main");
        assert!(!report.take(&packet(b"unpack ok\n")));
        assert!(!report.take(&packet(b"ok refs/heads/main2\n")));
        assert!(report.take(&packet(b"ok refs/heads/main\n")));
        let mut report = Report::new("refs/heads/main");
        assert!(report.take(&band(1, &packet(b"ng refs/heads/main hook declined\n"))));
    }

    #[test]
    fn what_is_no_protocol_of_git_is_no_report() {
        let mut report = Report::new("refs/heads/main");
        for bytes in [&b"zzzzok refs/heads/main"[..], b"0000", b"0001", b"\xff\xff\xff\xff", b"00"]
        {
            assert!(!report.take(bytes));
        }
    }
}
