//! As much of Prometheus' query language as is needed to say which series a query asks for, and how:
//! a reader of its tokens, not of its grammar. That a query is valid is said by a real Prometheus.

use std::iter::Peekable;
use std::str::CharIndices;

/// What a query names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// The selectors.
    pub(crate) selectors: Vec<Selector>,
    /// Labels by which is grouped or matched, and the selectors (by their places) that this is about.
    pub(crate) groupings: Vec<(Vec<String>, Vec<usize>)>,
    /// Every function and aggregation.
    pub(crate) functions: Vec<String>,
}

/// One selector of series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// Label, operator and value.
    pub(crate) matchers: Vec<(String, String, String)>,
    /// What stands in brackets behind it, or behind what is made of it.
    pub(crate) range: Option<String>,
    /// The function right around it.
    pub(crate) function: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Bracketed(String),
    Sign(String),
}

/// An open parenthesis: the function before it, and the selectors that came before it.
struct Open {
    function: Option<String>,
    by: Option<Vec<String>>,
    first: usize,
}

/// Words that are neither functions nor metrics.
const KEYWORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// Words before a list of labels.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

// === impl Query ===

impl Query {
    /// Whether it yields how many lengths a histogram has, and nothing else of it.
    pub(crate) fn is_a_count(&self) -> bool {
        self.functions.iter().any(|it| it == "histogram_count")
            && !self.functions.iter().any(|it| it == "histogram_sum")
    }
}

/// Reads a query.
pub(crate) fn read(text: &str) -> Query {
    let mut tokens = tokens(text).into_iter().peekable();
    let mut query = Query::default();
    let mut open: Vec<Open> = Vec::new();
    // An aggregation and its labels, before its parenthesis.
    let (mut function, mut by) = (None, None);
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) if GROUPINGS.contains(&word.as_str()) => {
                let labels = labels(&mut tokens);
                if function.is_some() {
                    by = Some(labels);
                } else {
                    // Of a binary operation: about all that its parenthesis holds.
                    query.groupings.push((labels, (0..query.selectors.len()).collect()));
                }
            }
            Token::Word(word) if KEYWORDS.contains(&word.as_str()) || is_number(&word) => (),
            Token::Word(word) => match tokens.peek() {
                Some(Token::Sign(sign)) if sign == "(" => function = Some(word),
                Some(Token::Word(next)) if next == "by" => function = Some(word),
                _ => {
                    let around = open.last().and_then(|it| it.function.clone());
                    query.selectors.push(selector(word, around, &mut tokens));
                }
            },
            Token::Sign(sign) if sign == "(" => {
                query.functions.extend(function.clone());
                let first = query.selectors.len();
                open.push(Open { function: function.take(), by: by.take(), first });
            }
            Token::Sign(sign) if sign == ")" => {
                let closed = open.pop().unwrap_or_else(|| panic!("one `)` too many in `{text}`"));
                let made_of = &mut query.selectors[closed.first..];
                if let Some(Token::Bracketed(it)) = tokens.peek() {
                    let (range, _step) = it.split_once(':').expect("a subquery has a colon");
                    for selector in made_of {
                        selector.range = Some(range.to_owned());
                    }
                }
                if let Some(by) = closed.by {
                    query.groupings.push((by, (closed.first..query.selectors.len()).collect()));
                }
            }
            Token::Sign(_) | Token::Text(_) | Token::Bracketed(_) => (),
        }
    }
    assert!(open.is_empty(), "a `(` is not closed in `{text}`");
    query
}

fn selector(
    metric: String,
    function: Option<String>,
    tokens: &mut Peekable<impl Iterator<Item = Token>>,
) -> Selector {
    let mut it = Selector { metric, function, ..Selector::default() };
    if tokens.next_if_eq(&Token::Sign("{".to_owned())).is_some() {
        loop {
            match (tokens.next(), tokens.next(), tokens.next()) {
                (
                    Some(Token::Word(label)),
                    Some(Token::Sign(operator)),
                    Some(Token::Text(value)),
                ) => it.matchers.push((label, operator, value)),
                other => panic!("no matcher of `{}`: {other:?}", it.metric),
            }
            match tokens.next() {
                Some(Token::Sign(sign)) if sign == "}" => break,
                Some(Token::Sign(sign)) if sign == "," => (),
                other => panic!("behind a matcher of `{}`: {other:?}", it.metric),
            }
        }
    }
    if let Some(Token::Bracketed(range)) = tokens.next_if(|it| matches!(it, Token::Bracketed(_))) {
        it.range = Some(range);
    }
    it
}

/// The labels in parentheses that follow.
fn labels(tokens: &mut impl Iterator<Item = Token>) -> Vec<String> {
    let mut labels = Vec::new();
    for token in tokens {
        match token {
            Token::Word(label) => labels.push(label),
            Token::Sign(sign) if sign == ")" => break,
            Token::Sign(_) => (),
            other => panic!("{other:?} among labels"),
        }
    }
    labels
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, it)) = rest.next() {
        match it {
            ' ' => (),
            '"' => tokens.push(Token::Text(until(text, '"', &mut rest))),
            '[' => tokens.push(Token::Bracketed(until(text, ']', &mut rest))),
            _ if is_of_a_word(it) => {
                let end = std::iter::from_fn(|| rest.next_if(|it| is_of_a_word(it.1))).last();
                let end = end.map_or(at + it.len_utf8(), |(at, it)| at + it.len_utf8());
                tokens.push(Token::Word(text[at..end].to_owned()));
            }
            '=' | '!' | '>' | '<' => {
                let second = rest.next_if(|it| ['=', '~'].contains(&it.1));
                let sign = [Some(it), second.map(|it| it.1)];
                tokens.push(Token::Sign(sign.into_iter().flatten().collect()));
            }
            _ => tokens.push(Token::Sign(it.to_string())),
        }
    }
    tokens
}

fn until(text: &str, end: char, rest: &mut Peekable<CharIndices<'_>>) -> String {
    let start = rest.peek().map_or(text.len(), |it| it.0);
    for (at, it) in rest.by_ref() {
        if it == end {
            return text[start..at].to_owned();
        }
    }
    panic!("`{end}` is missing in `{text}`")
}

fn is_of_a_word(it: char) -> bool {
    it.is_ascii_alphanumeric() || ['_', ':', '.', '$'].contains(&it)
}

fn is_number(word: &str) -> bool {
    word.starts_with(|it: char| it.is_ascii_digit() || it == '$')
}

#[test]
fn a_query_is_taken_apart() {
    let query =
        read(r#"sum by (hop, le) (increase(x_bucket{a=~"$b,(", c!="d"}[5m]) unless on (e) y) / 2"#);
    let matcher = |label: &str, operator: &str, value: &str| {
        (label.to_owned(), operator.to_owned(), value.to_owned())
    };
    let bucket = Selector {
        metric: "x_bucket".to_owned(),
        matchers: vec![matcher("a", "=~", "$b,("), matcher("c", "!=", "d")],
        range: Some("5m".to_owned()),
        function: Some("increase".to_owned()),
    };
    let other = Selector {
        metric: "y".to_owned(),
        function: Some("sum".to_owned()),
        ..Selector::default()
    };
    assert_eq!(query.selectors, [bucket, other]);
    assert_eq!(query.functions, ["sum", "increase"]);
    let groupings =
        [(vec!["e".to_owned()], vec![0]), (vec!["hop".to_owned(), "le".to_owned()], vec![0, 1])];
    assert_eq!(query.groupings, groupings);
    let query = read("increase(max by (hop) (x)[5m:1m]) + y");
    let ranges = query.selectors.iter().map(|it| it.range.as_deref());
    assert_eq!(ranges.collect::<Vec<_>>(), [Some("5m"), None]);
}
