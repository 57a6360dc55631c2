//! A command's usage text as the tree of arguments that COMMAND DOCS describes.
//!
//! The notation is the field's own:
//! ```text
//! KEEPTTL              a word in capitals, or without letters: to be given as it stands
//! value                any other word: the name of a value, its type told by the name
//! increment:double     … or told here
//! EX seconds           a word in capitals before values: their token
//! [a]                  may be left out
//! <A|B>                one of these; without the angles where only words are chosen from
//! [A x|B y]            one of these, or none
//! a b [a b ...]        once or more
//! [a ...]              any number of times
//! ```
//! Which values are keys is no part of the text: it follows from the command's key specs.

use crate::server::command::{Begin, Command, Find, KeySpec, NOT_KEY};

/// What an argument is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A key, found by the key spec of this number.
    Key(usize),
    /// Any bytes.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// A glob pattern.
    Pattern,
    /// A time of the Unix clock.
    UnixTime,
    /// The token itself.
    PureToken,
    /// One of these.
    OneOf(Vec<Argument>),
    /// All of these.
    Block(Vec<Argument>),
}

impl Kind {
    /// The name that COMMAND DOCS gives it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Key(_) => "key",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::PureToken => "pure-token",
            Kind::OneOf(_) => "oneof",
            Kind::Block(_) => "block",
        }
    }
}

/// An argument, or several that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argument {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The word before it.
    pub token: Option<String>,
    /// It may be left out.
    pub optional: bool,
    /// It may be given several times.
    pub multiple: bool,
    /// … and its token with it each time.
    pub multiple_token: bool,
}

impl Argument {
    fn new(name: String, kind: Kind) -> Argument {
        Argument {
            name,
            kind,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
        }
    }

    /// Those that a block or a choice consists of.
    pub fn parts(&self) -> &[Argument] {
        match &self.kind {
            Kind::OneOf(parts) | Kind::Block(parts) => parts,
            _ => &[],
        }
    }

    fn parts_mut(&mut self) -> &mut [Argument] {
        match &mut self.kind {
            Kind::OneOf(parts) | Kind::Block(parts) => parts,
            _ => &mut [],
        }
    }
}

/// The arguments of a command, whose first one is argument `first` of a request: 1, and 2 for a
/// subcommand. Panics if its usage is not in the notation, which a test of the table excludes.
pub fn arguments(command: &Command, first: usize) -> Vec<Argument> {
    let mut arguments =
        parse(command.usage).unwrap_or_else(|e| panic!("usage of {}: {e}", command.name));
    mark_keys(&mut arguments, command.keys, first as i32);
    arguments
}

/// Reads a usage text; no argument is a key yet.
pub fn parse(usage: &str) -> Result<Vec<Argument>, String> {
    let mut tokens = tokenize(usage).into_iter().peekable();
    let nodes = read_nodes(&mut tokens, None)?;
    sequence(&fold(choose_words(nodes))?)
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(String),
    Sign(char),
    Dots,
}

fn tokenize(usage: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for piece in usage.split_ascii_whitespace() {
        let mut word = String::new();
        for c in piece.chars() {
            if "[]<>|".contains(c) {
                push_word(&mut tokens, &mut word);
                tokens.push(Token::Sign(c));
            } else {
                word.push(c);
            }
        }
        push_word(&mut tokens, &mut word);
    }
    tokens
}

fn push_word(tokens: &mut Vec<Token>, word: &mut String) {
    match std::mem::take(word) {
        empty if empty.is_empty() => {}
        dots if dots == "..." => tokens.push(Token::Dots),
        word => tokens.push(Token::Word(word)),
    }
}

/// The text's brackets as a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Node {
    Word(String),
    Optional(Vec<Node>),
    Choice(Vec<Node>),
    Repeated(Vec<Node>),
    Or,
    Dots,
}

fn read_nodes(
    tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>,
    until: Option<char>,
) -> Result<Vec<Node>, String> {
    let mut nodes = Vec::new();
    while let Some(token) = tokens.next() {
        nodes.push(match token {
            Token::Word(word) => Node::Word(word),
            Token::Dots => Node::Dots,
            Token::Sign('|') => Node::Or,
            Token::Sign('[') => Node::Optional(read_nodes(tokens, Some(']'))?),
            Token::Sign('<') => Node::Choice(read_nodes(tokens, Some('>'))?),
            Token::Sign(sign) if Some(sign) == until => return Ok(nodes),
            Token::Sign(sign) => return Err(format!("'{sign}' closes nothing")),
        });
    }
    match until {
        None => Ok(nodes),
        Some(sign) => Err(format!("'{sign}' is missing")),
    }
}

/// Outside of all brackets, words joined by `|` are a choice.
fn choose_words(nodes: Vec<Node>) -> Vec<Node> {
    let mut chosen: Vec<Node> = Vec::new();
    for node in nodes {
        match (chosen.last_mut(), &node) {
            (Some(Node::Choice(words)), Node::Or) => words.push(Node::Or),
            (Some(Node::Choice(words)), Node::Word(_)) if words.last() == Some(&Node::Or) => {
                words.push(node)
            }
            (Some(Node::Word(_)), Node::Or) => {
                let first = chosen.pop().expect("the word just seen");
                chosen.push(Node::Choice(vec![first, Node::Or]));
            }
            _ => chosen.push(node),
        }
    }
    chosen
}

/// Makes `x [x ...]` and `[x ...]` repetitions, at every depth.
fn fold(nodes: Vec<Node>) -> Result<Vec<Node>, String> {
    let mut folded: Vec<Node> = Vec::new();
    for node in nodes {
        match node {
            Node::Optional(mut inner) if inner.last() == Some(&Node::Dots) => {
                inner.pop();
                let inner = fold(inner)?;
                match folded.len().checked_sub(inner.len()) {
                    Some(at) if folded[at..] == inner => {
                        folded.truncate(at);
                        folded.push(Node::Repeated(inner));
                    }
                    _ => folded.push(Node::Optional(vec![Node::Repeated(inner)])),
                }
            }
            Node::Optional(inner) => folded.push(Node::Optional(fold(inner)?)),
            Node::Choice(inner) => folded.push(Node::Choice(fold(inner)?)),
            Node::Dots => return Err("'...' does not end a pair of brackets".into()),
            node => folded.push(node),
        }
    }
    Ok(folded)
}

/// Whether a word is to be given as it stands.
fn is_token(word: &str) -> bool {
    !word.contains(|c: char| c.is_ascii_lowercase())
}

/// Nodes without `|` between them, as arguments.
fn sequence(nodes: &[Node]) -> Result<Vec<Argument>, String> {
    let mut arguments = Vec::new();
    let mut nodes = nodes.iter().peekable();
    while let Some(node) = nodes.next() {
        arguments.push(match node {
            Node::Word(word) if is_token(word) => {
                let mut values = Vec::new();
                while let Some(value) = nodes.next_if(|next| is_value(next, values.is_empty())) {
                    values.push(single(value)?);
                }
                with_token(word, values)
            }
            node => single(node)?,
        });
    }
    Ok(arguments)
}

/// Whether a node after a token belongs to it: values do, a choice only directly after the token.
fn is_value(node: &Node, is_next: bool) -> bool {
    match node {
        Node::Word(word) => !is_token(word),
        Node::Repeated(inner) => inner.iter().all(|node| is_value(node, false)),
        Node::Choice(_) => is_next,
        Node::Optional(_) | Node::Or | Node::Dots => false,
    }
}

fn with_token(token: &str, mut values: Vec<Argument>) -> Argument {
    let name = token.to_ascii_lowercase();
    let mut argument = match values.len() {
        0 => Argument::new(name, Kind::PureToken),
        1 => values.remove(0),
        _ => Argument::new(name, Kind::Block(values)),
    };
    if !argument.parts().is_empty() {
        argument.name = token.to_ascii_lowercase();
    }
    argument.token = Some(token.to_string());
    argument
}

/// One node that is no token, as an argument.
fn single(node: &Node) -> Result<Argument, String> {
    Ok(match node {
        Node::Word(word) => value(word),
        Node::Choice(inner) => group(inner)?,
        Node::Optional(inner) => Argument {
            optional: true,
            ..group(inner)?
        },
        Node::Repeated(inner) => {
            let argument = group(inner)?;
            Argument {
                multiple: true,
                multiple_token: argument.token.is_some(),
                ..argument
            }
        }
        Node::Or => return Err("'|' outside of brackets".into()),
        Node::Dots => return Err("'...' outside of brackets".into()),
    })
}

/// What a pair of brackets holds, as one argument.
fn group(nodes: &[Node]) -> Result<Argument, String> {
    let alternatives: Vec<&[Node]> = nodes.split(|node| *node == Node::Or).collect();
    if alternatives.len() == 1 {
        return block(nodes);
    }
    let alternatives = alternatives
        .into_iter()
        .map(block)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Argument::new(
        joined_name(&alternatives),
        Kind::OneOf(alternatives),
    ))
}

fn block(nodes: &[Node]) -> Result<Argument, String> {
    let mut arguments = sequence(nodes)?;
    match arguments.len() {
        0 => Err("nothing between two signs".into()),
        1 => Ok(arguments.remove(0)),
        _ => Ok(Argument::new(
            joined_name(&arguments),
            Kind::Block(arguments),
        )),
    }
}

fn joined_name(arguments: &[Argument]) -> String {
    let names: Vec<&str> = arguments.iter().map(|a| a.name.as_str()).collect();
    names.join("-")
}

fn value(word: &str) -> Argument {
    let named = |name: &str, kind| Argument::new(name.to_string(), kind);
    match word.rsplit_once(':') {
        Some((name, "string")) => named(name, Kind::String),
        Some((name, "integer")) => named(name, Kind::Integer),
        Some((name, "double")) => named(name, Kind::Double),
        _ => named(word, kind_of(word)),
    }
}

/// The type of a value, told by its name.
fn kind_of(name: &str) -> Kind {
    match name {
        "seconds" | "milliseconds" | "offset" | "start" | "end" | "stop" | "count" | "index"
        | "index1" | "index2" | "db" | "destination-db" | "decrement" | "increment" | "numkeys"
        | "protover" | "client-id" | "port" | "maxage" | "bit" | "min-match-len" | "rank"
        | "num-matches" | "len" | "cursor" | "timeout" | "version" | "numreplicas" | "numlocal" => {
            Kind::Integer
        }
        "score" | "longitude" | "latitude" | "radius" | "width" | "height" | "weight" => {
            Kind::Double
        }
        "pattern" => Kind::Pattern,
        "unix-time-seconds" | "unix-time-milliseconds" => Kind::UnixTime,
        _ => Kind::String,
    }
}

/// Makes those values keys that the key specs find: by position before anything of variable length,
/// by their token after.
fn mark_keys(arguments: &mut [Argument], specs: &[KeySpec], first: i32) {
    let mut position = Some(first);
    for argument in arguments {
        mark_by_token(argument, specs);
        if let Some(at) = position {
            mark_at(argument, specs, at);
            let fixed = !argument.optional && !argument.multiple && argument.token.is_none();
            position = (fixed && !matches!(argument.kind, Kind::Block(_))).then_some(at + 1);
        }
    }
}

fn mark_at(argument: &mut Argument, specs: &[KeySpec], at: i32) {
    match &mut argument.kind {
        Kind::String => {
            if let Some(spec) = specs.iter().position(|spec| finds(spec, at)) {
                argument.kind = Kind::Key(spec);
            }
        }
        Kind::Block(parts) if argument.token.is_none() => mark_keys(parts, specs, at),
        Kind::OneOf(parts) if argument.token.is_none() => {
            parts.iter_mut().for_each(|part| mark_at(part, specs, at));
        }
        _ => {}
    }
}

/// Whether a spec makes the argument at a fixed place a key.
fn finds(spec: &KeySpec, at: i32) -> bool {
    // A channel is found as a key is, and is none.
    spec.flags & NOT_KEY == 0 && reaches(spec, at)
}

fn reaches(spec: &KeySpec, at: i32) -> bool {
    match (spec.begin, spec.find) {
        (Begin::Index(from), Find::Range { last, step, .. }) => {
            at >= from && (last < 0 || at <= from + last) && (at - from) % step.max(1) == 0
        }
        (Begin::Index(from), Find::KeyNum { first, .. }) => at == from + first,
        (Begin::Keyword(..) | Begin::Unknown(_), _) | (_, Find::Unknown) => false,
    }
}

fn mark_by_token(argument: &mut Argument, specs: &[KeySpec]) {
    let keyword = |spec: &KeySpec, token: &str| match spec.begin {
        Begin::Keyword(word, _) | Begin::Unknown(Some(word)) => word == token,
        Begin::Index(_) | Begin::Unknown(None) => false,
    };
    let spec = argument
        .token
        .as_ref()
        .and_then(|token| specs.iter().position(|spec| keyword(spec, token)));
    match (spec, &mut argument.kind) {
        (Some(spec), Kind::Block(parts)) => parts[0].kind = Kind::Key(spec),
        (Some(spec), kind) if *kind != Kind::PureToken => *kind = Kind::Key(spec),
        _ => argument
            .parts_mut()
            .iter_mut()
            .for_each(|part| mark_by_token(part, specs)),
    }
}

/// The least number of arguments that a request with these has, and whether it may have more.
pub fn bounds(arguments: &[Argument]) -> (usize, bool) {
    let (mut least, mut more) = (0, false);
    for argument in arguments {
        let (inner, inner_more) = match &argument.kind {
            Kind::PureToken => (0, false),
            Kind::OneOf(parts) => {
                let all: Vec<_> = parts
                    .iter()
                    .map(|part| bounds(std::slice::from_ref(part)))
                    .collect();
                let least = all.iter().map(|b| b.0).min().unwrap_or(0);
                (least, all.iter().any(|b| b.1 || b.0 > least))
            }
            Kind::Block(parts) => bounds(parts),
            _ => (1, false),
        };
        if !argument.optional {
            least += inner + usize::from(argument.token.is_some());
        }
        more |= inner_more || argument.optional || argument.multiple;
    }
    (least, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::error::Outcome;
    use crate::resp::request::Argv;
    use crate::server::command::{Data, FIRST, cmd};
    use crate::server::cx::DataCx;

    /// A tree in one line: `name:kind`, `TOKEN`, `?` optional, `*` multiple, `+` with its token.
    fn show(arguments: &[Argument]) -> String {
        let one = |a: &Argument| {
            let mut text = String::new();
            if let Some(token) = &a.token {
                text += token;
            }
            match &a.kind {
                Kind::PureToken => {}
                Kind::Block(parts) => text += &format!("({})", show(parts)),
                Kind::OneOf(parts) => text += &format!("<{}>", show(parts)),
                Kind::Key(spec) => text += &format!(" {}:key{spec}", a.name),
                kind => text += &format!(" {}:{}", a.name, kind.name()),
            }
            for (flag, sign) in [
                (a.optional, '?'),
                (a.multiple, '*'),
                (a.multiple_token, '+'),
            ] {
                text.extend(flag.then_some(sign));
            }
            text.trim_start().to_string()
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn notation() {
        let check = |usage: &str, expected: &str| {
            assert_eq!(show(&parse(usage).unwrap()), expected, "{usage}")
        };
        check("", "");
        check("key value", "key:string, value:string");
        check("[message]", "message:string?");
        check("[NX|XX] [GET]", "<NX, XX>?, GET?");
        check("[EX seconds|KEEPTTL]", "<EX seconds:integer, KEEPTTL>?");
        check("key [key ...]", "key:string*");
        check("[section ...]", "section:string?*");
        check(
            "[section [section ...]]",
            "section:string*?".replace("*?", "?*").as_str(),
        );
        check("key value [key value ...]", "(key:string, value:string)*");
        check(
            "[LIMIT offset count]",
            "LIMIT(offset:integer, count:integer)?",
        );
        check("[ID client-id [client-id ...]]", "ID client-id:integer?*");
        check(
            "[PREFIX prefix [PREFIX prefix ...]]",
            "PREFIX prefix:string?*+",
        );
        check("AND|OR|NOT destkey", "<AND, OR, NOT>, destkey:string");
        check("[TYPE <A|B>] <ON|OFF>", "TYPE<A, B>?, <ON, OFF>");
        check(
            "[BYRADIUS radius <M|KM>]",
            "(BYRADIUS radius:double, <M, KM>)?",
        );
        check(
            "[start [end [BYTE|BIT]]]",
            "(start:integer, (end:integer, <BYTE, BIT>?)?)?",
        );
        check("[COUNT count [ANY]]", "(COUNT count:integer, ANY?)?");
        check(
            "increment:double ip:port",
            "increment:double, ip:port:string",
        );
        check("[<=|~>]", "<=, ~>?");
        check(
            "[GET offset|[OVERFLOW <WRAP|FAIL>] SET value [GET offset|[OVERFLOW <WRAP|FAIL>] SET value ...]]",
            "<GET offset:integer, (OVERFLOW<WRAP, FAIL>?, SET value:string)>?*",
        );
    }

    #[test]
    fn faults() {
        let check = |usage: &str, part: &str| {
            let error = parse(usage).expect_err(usage);
            assert!(error.contains(part), "{usage}: {error}");
        };
        check("[key", "']' is missing");
        check("key]", "closes nothing");
        check("<A|>", "nothing between");
        check("key ...", "does not end");
        check("[a] | b", "outside");
    }

    fn nothing(_: &mut DataCx<'_>, _: Argv<'_>) -> Outcome {
        Ok(())
    }

    #[test]
    fn keys_follow_from_specs() {
        fn check(keys: &'static [KeySpec], usage: &'static str, first: usize, expected: &str) {
            let command = cmd("x", 1, Data(nothing)).keys(keys).usage(usage);
            assert_eq!(show(&arguments(&command, first)), expected, "{usage}");
        }
        const PAIRS: &[KeySpec] = &[FIRST.to_end(2)];
        const TWO: &[KeySpec] = &[FIRST, KeySpec::at(2)];
        const SECOND: &[KeySpec] = &[KeySpec::at(2)];
        const FROM_SECOND: &[KeySpec] = &[KeySpec::at(2).to_end(1)];
        const COUNTED: &[KeySpec] = &[KeySpec {
            begin: Begin::Index(2),
            find: Find::KeyNum {
                index: 0,
                first: 1,
                step: 1,
            },
            ..FIRST
        }];
        const STORE: &[KeySpec] = &[
            FIRST,
            KeySpec {
                begin: Begin::Keyword("STORE", 2),
                ..FIRST
            },
        ];
        check(&[FIRST], "key value", 1, "key:key0, value:string");
        check(
            TWO,
            "source destination",
            1,
            "source:key0, destination:key1",
        );
        check(
            PAIRS,
            "key value [key value ...]",
            1,
            "(key:key0, value:string)*",
        );
        check(
            FROM_SECOND,
            "AND|OR key [key ...]",
            1,
            "<AND, OR>, key:key0*",
        );
        check(
            SECOND,
            "key [SAMPLES count]",
            2,
            "key:key0, SAMPLES count:integer?",
        );
        check(
            COUNTED,
            "script numkeys [key ...] [arg ...]",
            1,
            "script:string, numkeys:integer, key:key0?*, arg:string?*",
        );
        check(
            STORE,
            "key [STORE destination]",
            1,
            "key:key0, STORE destination:key1?",
        );
    }

    #[test]
    fn bounds_of_a_request() {
        let check =
            |usage: &str, expected| assert_eq!(bounds(&parse(usage).unwrap()), expected, "{usage}");
        check("", (0, false));
        check("key value", (2, false));
        check("key [key ...]", (1, true));
        check("<ON|OFF> [NOLOOP]", (1, true));
        check("LIMIT offset count", (3, false));
        check("<LIB-NAME libname|LIB-VER libver>", (2, false));
        check("<host port|NO ONE>", (2, false));
        check("<a|B c>", (1, true));
    }
}
