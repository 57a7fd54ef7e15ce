//! Rust without its comments and texts, so that a rule about code does not trip over prose.
//!
//! Every character that goes is replaced by a space: lines and columns stay where they were.

/// Blanks comments, strings and characters.
pub(crate) fn scrub(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => line_end(&chars, at),
            ('/', Some('*')) => comment_end(&chars, at),
            ('"', _) => string_end(&chars, at),
            ('r', _) if !follows_a_name(&chars, at) => raw_end(&chars, at).unwrap_or(at),
            ('\'', _) => char_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        }
        for &c in &chars[at..end.max(at)] {
            out.push(if c == '\n' { '\n' } else { ' ' });
        }
        at = end.max(at);
    }
    out
}

/// The lines of scrubbed code that belong to an item under `#[cfg(test)]`.
pub(crate) fn test_lines(code: &str) -> Vec<bool> {
    let mut marks = Vec::new();
    let (mut depth, mut begun, mut inside) = (0_usize, false, false);
    for line in code.lines() {
        if !inside && line.trim_start().starts_with("#[cfg(test)]") {
            (depth, begun, inside) = (0, false, true);
        }
        marks.push(inside);
        if !inside {
            continue;
        }
        for c in line.chars() {
            match c {
                '{' => (depth, begun) = (depth + 1, true),
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        let item_without_body = !begun && line.trim_end().ends_with(';');
        inside = !(item_without_body || begun && depth == 0);
    }
    marks
}

/// Where `token` stands in `line` on its own, not as a part of a longer name.
pub(crate) fn find_token(line: &str, token: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(token).map(|(at, _)| at).find(|&at| {
        let before = line[..at].chars().next_back();
        let after = line[at + token.len()..].chars().next();
        let free_before = !token.starts_with(part) || !before.is_some_and(part);
        free_before && (!token.ends_with(part) || !after.is_some_and(part))
    })
}

fn follows_a_name(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|it| chars[it]);
    before.is_some_and(|c| (c.is_alphanumeric() && c != 'b') || c == '_')
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |it| at + it)
}

fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from + 2, 1);
    while at < chars.len() && depth > 0 {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at.min(chars.len())
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_end(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from + 1..].iter().take_while(|&&c| c == '#').count();
    let open = from + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close = |at: usize| {
        chars[at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    let at = (open + 1..chars.len()).find(|&at| close(at))?;
    Some(at + 1 + hashes)
}

/// The end of a character; a lifetime has none and ends where it begins.
fn char_end(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => {
            let rest = chars.get(from + 3..).unwrap_or_default();
            rest.iter().position(|&c| c == '\'').map_or(chars.len(), |it| from + 4 + it)
        }
        (Some(_), Some('\'')) => from + 3,
        _ => from,
    }
}

#[test]
fn code_survives_and_prose_does_not() {
    let text = "let a = \"now()\"; // now()\nlet b: &'a str = r#\"x\"y\"#; /* { /* } */ */ c('\\'', '\"', d)";
    let code = scrub(text);
    assert_eq!(code.len(), text.len());
    assert!(!code.contains("now"), "{code}");
    let left: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(left, "let a = ; let b: &'a str = ; c( , , d)");
}

#[test]
fn items_under_cfg_test_are_known() {
    let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}";
    let marks: String = test_lines(code).iter().map(|it| if *it { 't' } else { '.' }).collect();
    assert_eq!(marks, ".tttt.tt.");
}

#[test]
fn a_token_is_not_found_in_a_longer_one() {
    assert_eq!(find_token("eprintln!(x)", "println!"), None);
    assert_eq!(find_token("a; println!(x)", "println!"), Some(3));
    assert_eq!(find_token("mykube::x", "kube::"), None);
}
