//! The arguments of the attributes: `name = value`, separated by commas.
//!
//! Most options are the builder's. The name of such an option is the name of a method of `runtime::Builder`,
//! and its value, which may be any expression, is passed to that method unchanged. So only the builder knows
//! the types, and the compiler underlines a value of a wrong type where it was written. Four names have a
//! meaning here: `crate` is the path of the runtime, `flavor` is accepted with the values that fit,
//! `selector` may also be a name in quotes, and `worker_threads` is refused with the reason why there are
//! none.

use crate::error::Errors;
use crate::template::fill;
use proc_macro::{Delimiter, Ident, Span, TokenStream, TokenTree};
use std::collections::HashSet;
use std::iter::Peekable;

type Tokens = Peekable<proc_macro::token_stream::IntoIter>;

/// The options, each with an example of its value. All but the first two are methods of the builder.
const OPTIONS: [(&str, &str); 11] = [
    ("crate", "some::path"),
    ("flavor", "\"current_thread\""),
    ("start_paused", "true"),
    ("auto_advance_grace", "Duration::from_secs(1)"),
    ("event_interval", "61"),
    ("max_io_events_per_tick", "1024"),
    ("timer_slack", "Duration::from_micros(100)"),
    ("name", "\"main\""),
    ("selector", "\"poll\""),
    ("max_blocking_threads", "8"),
    ("thread_keep_alive", "Duration::from_secs(10)"),
];

/// The selectors, by their names in quotes and as variants of `runtime::selector::Kind`.
const SELECTORS: [(&str, &str); 5] = [
    ("epoll", "Epoll"),
    ("epoll-level", "EpollLevel"),
    ("kqueue", "Kqueue"),
    ("poll", "Poll"),
    ("select", "Select"),
];

/// The parsed arguments of an attribute.
pub(crate) struct Options {
    /// The path of the builder, in `::runtime` unless `crate` was set.
    pub(crate) builder: TokenStream,
    /// The calls on the builder: `.event_interval(61).name("main")`.
    pub(crate) settings: TokenStream,
    /// The path of the crate `runtime`.
    root: TokenStream,
    /// The selector that was named in quotes, as a variant of `Kind`, and the span of its name.
    selector: Option<(&'static str, Span)>,
}

impl Options {
    /// Parses all arguments. An option that is wrong is left out, and an error is added to `errors`.
    pub(crate) fn parse(arguments: TokenStream, errors: &mut Errors) -> Options {
        let mut options = Options {
            builder: TokenStream::new(),
            settings: TokenStream::new(),
            root: fill("::runtime", Span::mixed_site(), &[]),
            selector: None,
        };
        let mut seen = HashSet::new();
        let mut tokens = arguments.into_iter().peekable();
        while let Some(first) = tokens.next() {
            let assigned = take_punct(&mut tokens, '=');
            let value = take_value(&mut tokens);
            let TokenTree::Ident(name) = first else {
                errors.push(first.span(), "expected the name of an option, as in `start_paused = true`");
                continue;
            };
            let known = OPTIONS.iter().find(|(option, _)| name.to_string() == *option);
            let Some((option, example)) = known else {
                errors.push(name.span(), unknown(&name.to_string()));
                continue;
            };
            if !seen.insert(*option) {
                errors.push(name.span(), format!("`{option}` is set twice"));
            } else if !assigned || value.is_empty() {
                errors.push(name.span(), format!("`{option}` needs a value, as in `{option} = {example}`"));
            } else {
                options.set(name, value, errors);
            }
        }
        options.builder = builder_in(options.root.clone());
        if let Some((kind, span)) = options.selector {
            let span = Span::mixed_site().located_at(span);
            let kind = TokenTree::from(Ident::new(kind, span)).into();
            let holes = [("root", options.root.clone()), ("kind", kind)];
            options.settings.extend(fill(".selector($root::selector::Kind::$kind)", span, &holes));
        }
        options
    }

    fn set(&mut self, name: Ident, value: TokenStream, errors: &mut Errors) {
        match name.to_string().as_str() {
            "crate" => match crate_path(value.clone()) {
                Some(path) => self.root = path,
                None => errors.push(span_of(&value), "`crate` is a path, as in `crate = some::path`"),
            },
            // Every runtime is single-threaded and takes tasks that are not `Send`, so both flavors fit.
            "flavor" if matches!(text_of(&value).as_deref(), Some("current_thread" | "local")) => {}
            "flavor" => errors.push(
                span_of(&value),
                "a runtime has one thread, its only flavor is \"current_thread\", which may be left out; \
                 for several threads, call `runtime::cores::PerCore` (feature `cores`) in a plain `main`",
            ),
            "selector" if text_of(&value).is_some() => {
                let text = text_of(&value).unwrap_or_default();
                match SELECTORS.iter().find(|(name, _)| *name == text) {
                    Some((_, kind)) => self.selector = Some((kind, span_of(&value))),
                    None => errors.push(span_of(&value), unknown_selector(&text)),
                }
            }
            _ => {
                let span = Span::mixed_site().located_at(name.span());
                let holes = [("method", TokenTree::from(name).into()), ("value", value)];
                self.settings.extend(fill(".$method($value)", span, &holes));
            }
        }
    }
}

/// Returns the path of the builder. It is located at the path of the crate, so that the compiler underlines
/// that path if the crate has no builder.
fn builder_in(root: TokenStream) -> TokenStream {
    let span = Span::mixed_site().located_at(span_of(&root));
    fill("$root::runtime::Builder", span, &[("root", root)])
}

fn unknown(name: &str) -> String {
    if name == "worker_threads" {
        return "a runtime has one thread, and no workers: for one runtime on each of several threads there is \
                `runtime::cores::PerCore`; the threads of `spawn_blocking` are `max_blocking_threads`"
            .into();
    }
    let names: Vec<_> = OPTIONS.iter().map(|(option, _)| format!("`{option}`")).collect();
    format!("unknown option `{name}`; the options are {}", names.join(", "))
}

fn unknown_selector(name: &str) -> String {
    let names: Vec<_> = SELECTORS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("there is no selector \"{name}\"; the names are {}", names.join(", "))
}

fn take_punct(tokens: &mut Tokens, wanted: char) -> bool {
    tokens.next_if(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)).is_some()
}

/// Takes the tokens up to the comma that ends the option, and the comma.
///
/// Commas in brackets are inside of a group and not seen here. Careful: commas between angle brackets are not
/// in a group. So the brackets of `make::<u8, u16>()` and of a leading `<A as B<C, D>>` are counted, while `a
/// < b` is a comparison.
fn take_value(tokens: &mut Tokens) -> TokenStream {
    let mut value = TokenStream::new();
    let mut depth = 0u32;
    let mut before = [' ', ' '];
    for token in tokens.by_ref() {
        let mut character = ' ';
        if let TokenTree::Punct(punct) = &token {
            character = punct.as_char();
            match (before, character) {
                (_, ',') if depth == 0 => break,
                (_, '<') if depth > 0 || value.is_empty() || before == [':', ':'] => depth += 1,
                ([_, '-'], '>') => {}
                (_, '>') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        before = [before[1], character];
        value.extend([token]);
    }
    value
}

/// Returns the path that `crate = some::path` or `crate = "some::path"` names.
fn crate_path(value: TokenStream) -> Option<TokenStream> {
    let span = span_of(&value);
    let path = match text_of(&value) {
        Some(text) => respan(text.parse().ok()?, span),
        None => value,
    };
    let shape: String = path.clone().into_iter().map(shape_of).collect();
    let names = shape.strip_prefix("::").unwrap_or(&shape);
    names.split("::").all(|name| name == "name").then_some(path)
}

fn shape_of(token: TokenTree) -> &'static str {
    match token {
        TokenTree::Ident(_) => "name",
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => "name",
        TokenTree::Punct(punct) if punct.as_char() == ':' => ":",
        _ => "other",
    }
}

fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

/// Returns the text between the quotes if the value is a string literal without escapes.
///
/// A literal that was passed through a `macro_rules!` variable is wrapped in an invisible group.
fn text_of(value: &TokenStream) -> Option<String> {
    let mut tokens = value.clone().into_iter();
    match (tokens.next()?, tokens.next()) {
        (TokenTree::Group(group), None) if group.delimiter() == Delimiter::None => text_of(&group.stream()),
        (TokenTree::Literal(literal), None) => {
            let source = literal.to_string();
            let quoted = source.strip_prefix('r').unwrap_or(&source).trim_matches('#');
            Some(quoted.strip_prefix('"')?.strip_suffix('"')?.to_string())
        }
        _ => None,
    }
}

/// Returns the span of the value's first token, because two spans cannot be joined on stable Rust.
fn span_of(value: &TokenStream) -> Span {
    value.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span())
}
