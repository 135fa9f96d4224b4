//! The parts of the function under the attribute.
//!
//! ```text
//! #[doc = ""] pub(crate) async fn name<T>(arguments) -> Output where T: Bound { body }
//! attributes  visibility          name generics      output    bounds         body
//! ```
//!
//! Only the top level is parsed. Everything in brackets is one group, so types, patterns and the body are
//! passed through unread. Generics are the only part whose brackets do not form a group. Tokens that were
//! passed through a `macro_rules!` variable arrive in invisible groups, which are opened wherever one may
//! occur.

use crate::error::Errors;
use proc_macro::{Delimiter, Group, Ident, Spacing, Span, TokenStream, TokenTree};
use std::iter::Peekable;

type Tokens = Peekable<std::vec::IntoIter<TokenTree>>;

/// The parts of a function. A part that is missing is empty.
pub(crate) struct Function {
    /// The attributes, as pairs of `#` and `[…]`.
    pub(crate) attributes: Vec<[TokenTree; 2]>,
    pub(crate) visibility: TokenStream,
    pub(crate) async_token: Option<Ident>,
    pub(crate) fn_token: Ident,
    pub(crate) name: Ident,
    pub(crate) generics: TokenStream,
    pub(crate) arguments: Group,
    /// The return type, with its arrow.
    pub(crate) output: TokenStream,
    /// The `where` clause.
    pub(crate) bounds: TokenStream,
    pub(crate) body: Group,
}

impl Function {
    /// Splits `item` into its parts. `macro_name` is used in messages.
    ///
    /// Returns `None` if it is not a function with a body. `const`, `unsafe` and `extern` are reported as
    /// errors and left out.
    pub(crate) fn parse(item: TokenStream, macro_name: &str, errors: &mut Errors) -> Option<Function> {
        let mut tokens = open(item).into_iter().peekable();
        let attributes = take_attributes(&mut tokens);
        let visibility = take_visibility(&mut tokens);

        let mut async_token = None;
        let mut refused = Vec::new();
        let fn_token = loop {
            match tokens.next() {
                Some(TokenTree::Ident(word)) => match word.to_string().as_str() {
                    "fn" => break word,
                    "async" => async_token = Some(word),
                    "const" | "unsafe" | "extern" | "safe" => refused.push(word),
                    _ => return not_a_function(word.span(), macro_name, errors),
                },
                Some(TokenTree::Literal(_)) if !refused.is_empty() => {} // This is the "C" of `extern "C"`.
                other => {
                    let span = other.map_or_else(Span::call_site, |token| token.span());
                    return not_a_function(span, macro_name, errors);
                }
            }
        };
        let Some(TokenTree::Ident(name)) = tokens.next() else {
            return not_a_function(fn_token.span(), macro_name, errors);
        };
        let generics = take_generics(&mut tokens);
        let Some(TokenTree::Group(arguments)) = tokens.next() else {
            return not_a_function(fn_token.span(), macro_name, errors);
        };

        let mut rest: Vec<_> = tokens.collect();
        let Some(body) = rest.pop().and_then(as_body) else {
            errors.push(name.span(), format!("`#[{macro_name}]` goes on a function with a body"));
            return None;
        };
        let is_where =
            |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word.to_string() == "where");
        let bounds = rest.split_off(rest.iter().position(is_where).unwrap_or(rest.len()));

        for word in refused {
            let message =
                format!("a function under `#[{macro_name}]` is a plain `async fn`, without `{word}`");
            errors.push(word.span(), message);
        }
        Some(Function {
            attributes,
            visibility,
            async_token,
            fn_token,
            name,
            generics,
            arguments,
            output: rest.into_iter().collect(),
            bounds: bounds.into_iter().collect(),
            body,
        })
    }
}

/// Splits a body into the inner attributes, `#![…]`, at its head, and the tokens that follow them.
pub(crate) fn split_inner_attributes(body: TokenStream) -> (TokenStream, TokenStream) {
    let mut tokens: Vec<_> = body.into_iter().collect();
    let mut end = 0;
    while let [TokenTree::Punct(hash), TokenTree::Punct(bang), TokenTree::Group(group), ..] = &tokens[end..]
        && hash.as_char() == '#'
        && bang.as_char() == '!'
        && group.delimiter() == Delimiter::Bracket
    {
        end += 3;
    }
    let rest = tokens.split_off(end);
    (tokens.into_iter().collect(), rest.into_iter().collect())
}

fn not_a_function(span: Span, macro_name: &str, errors: &mut Errors) -> Option<Function> {
    errors.push(span, format!("`#[{macro_name}]` goes on an `async fn`, and this is none"));
    None
}

/// Returns the tokens without the invisible group that `$item` or `$meta` may have put around them.
pub(crate) fn open(tokens: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    match &tokens[..] {
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::None => open(group.stream()),
        _ => tokens,
    }
}

fn take_attributes(tokens: &mut Tokens) -> Vec<[TokenTree; 2]> {
    let mut attributes = Vec::new();
    while let Some(hash) =
        tokens.next_if(|token| matches!(token, TokenTree::Punct(hash) if hash.as_char() == '#'))
    {
        attributes.extend(tokens.next().map(|brackets| [hash, brackets]));
    }
    attributes
}

fn take_visibility(tokens: &mut Tokens) -> TokenStream {
    let is_visibility = |token: &TokenTree| match token {
        TokenTree::Ident(word) => word.to_string() == "pub",
        token => is_group(token, Delimiter::None),
    };
    let mut visibility = TokenStream::new();
    if let Some(word) = tokens.next_if(is_visibility) {
        visibility.extend([word]);
        visibility.extend(tokens.next_if(|token| is_group(token, Delimiter::Parenthesis)));
    }
    visibility
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

/// Takes `<…>`, if it comes next. Careful: the `>` of an arrow in a bound closes nothing.
fn take_generics(tokens: &mut Tokens) -> TokenStream {
    let mut generics = TokenStream::new();
    if !matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<') {
        return generics;
    }
    let mut depth = 0u32;
    let mut after_dash = false;
    for token in tokens.by_ref() {
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !after_dash => depth -= 1,
                _ => {}
            }
            after_dash = punct.as_char() == '-' && punct.spacing() == Spacing::Joint;
        }
        generics.extend([token]);
        if depth == 0 {
            break;
        }
    }
    generics
}

/// Returns the braces without the invisible group that `$body:block` puts around them.
fn as_body(token: TokenTree) -> Option<Group> {
    match &open(token.into())[..] {
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::Brace => Some(group.clone()),
        _ => None,
    }
}
