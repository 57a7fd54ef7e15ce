//! Git's pkt-lines, as far as a push needs them: which refs it moves, and an answer to it.

/// One ref that a push wants to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) old: String,
    pub(super) new: String,
    pub(super) reference: String,
}

/// The commands of a push, the capabilities that the client chose, and its options.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Push {
    pub(super) commands: Vec<Command>,
    pub(super) capabilities: String,
    pub(super) options: Vec<String>,
}

/// Reads the head of a push's body, up to the flush that precedes the pack.
pub(super) fn read_push(mut body: &[u8]) -> Push {
    let mut push = Push::default();
    while let Some(line) = next_line(&mut body) {
        let (command, capabilities) = line.split_once('\0').unwrap_or((line, ""));
        if !capabilities.is_empty() {
            capabilities.trim().clone_into(&mut push.capabilities);
        }
        let mut words = command.trim_end().splitn(3, ' ').map(str::to_owned);
        if let (Some(old), Some(new), Some(reference)) = (words.next(), words.next(), words.next())
        {
            push.commands.push(Command { old, new, reference });
        }
    }
    let has_options = push.capabilities.split(' ').any(|it| it == "push-options");
    if has_options && body.starts_with(b"0000") {
        body = &body[4..];
        while let Some(line) = next_line(&mut body) {
            push.options.push(line.trim_end().to_owned());
        }
    }
    push
}

/// The answer to a push of which every ref is refused, with text for the person who pushed.
pub(super) fn refuse(push: &Push, message: &str, reason: &str) -> Vec<u8> {
    let mut report = line(b"unpack ok\n");
    for command in &push.commands {
        report.extend(line(format!("ng {} {reason}\n", command.reference).as_bytes()));
    }
    report.extend(b"0000");
    if !push.capabilities.split(' ').any(|capability| capability == "side-band-64k") {
        return report;
    }
    let mut answer = Vec::new();
    for text in message.lines() {
        answer.extend(line(format!("\x02{text}\n").as_bytes()));
    }
    answer.extend(line(&[b"\x01".as_slice(), &report].concat()));
    answer.extend(b"0000");
    answer
}

/// Whether the report in an answer says that the ref was moved.
pub(super) fn reports_ok(answer: &[u8], reference: &str) -> bool {
    let wanted = format!("ok {reference}");
    answer.windows(wanted.len() + 1).any(|window| {
        window.starts_with(wanted.as_bytes()) && matches!(window.last(), Some(b'\n' | b'0'))
    })
}

fn next_line<'a>(body: &mut &'a [u8]) -> Option<&'a str> {
    let length = std::str::from_utf8(body.get(..4)?).ok()?;
    let length = usize::from_str_radix(length, 16).ok()?;
    let text = std::str::from_utf8(body.get(4..length)?).ok()?;
    *body = &body[length..];
    Some(text)
}

fn line(bytes: &[u8]) -> Vec<u8> {
    let mut line = format!("{:04x}", bytes.len() + 4).into_bytes();
    line.extend(bytes);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(capabilities: &str) -> Push {
        let (old, new) = ("0".repeat(40), "1".repeat(40));
        let command = format!("{old} {new} refs/heads/main\0{capabilities}");
        let mut body = line(command.as_bytes());
        body.extend(b"0000PACK\x00\x00");
        read_push(&body)
    }

    #[test]
    fn the_commands_of_a_push_are_read_up_to_the_pack() {
        let push = push(" report-status side-band-64k");
        assert_eq!(push.commands.len(), 1);
        assert_eq!(push.commands[0].reference, "refs/heads/main");
        assert_eq!(push.capabilities, "report-status side-band-64k");
    }

    #[test]
    fn options_stand_between_the_commands_and_the_pack() {
        let command =
            format!("{} {} refs/heads/main\0push-options", "0".repeat(40), "1".repeat(40));
        let parts = [line(command.as_bytes()), b"0000".to_vec(), line(b"ci.skip"), line(b"a=b\n")];
        let body = [parts.concat(), b"0000PACK".to_vec()].concat();
        assert_eq!(read_push(&body).options, ["ci.skip", "a=b"]);
        assert!(push("report-status").options.is_empty());
    }

    #[test]
    fn a_refusal_is_framed_as_the_client_asked() {
        let plain = refuse(&push("report-status"), "no", "protected");
        assert!(plain.starts_with(b"000eunpack ok\n"));
        let framed = refuse(&push("report-status side-band-64k"), "no", "protected");
        assert!(framed.starts_with(b"0008\x02no\n"));
        assert!(!reports_ok(&framed, "refs/heads/main"));
    }

    #[test]
    fn a_ref_is_not_taken_for_a_longer_one() {
        assert!(reports_ok(b"0017ok refs/heads/main\n", "refs/heads/main"));
        assert!(!reports_ok(b"0017ok refs/heads/main-2\n", "refs/heads/main"));
    }
}
