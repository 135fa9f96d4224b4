//! The mistakes in the use of `select!`.
//!
//! `select!` itself is a `macro_rules!` macro of the library. When none of its rules matches, it passes the rest of
//! the tokens to this file, which looks for the mistake and points at it. So nothing here runs for a program
//! that compiles, and where the tokens are ambiguous, a good guess is enough.
//!
//! Mistakes inside of a pattern or an expression never come here: the compiler reports those itself.

use crate::error::Errors;
use proc_macro::{Delimiter, Spacing, Span, TokenStream, TokenTree};

/// The form of a branch, for messages.
const FORM: &str = "`pattern = future => handler`, with `, if condition` after the future if it has one";

/// Expands to the error for the misuse. `tokens` are a word that says which rules did not match, and a group of the
/// tokens that they did not match.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter();
    let kind = tokens.next().map_or_else(String::new, |kind| kind.to_string());
    let rest: Vec<_> = match tokens.next() {
        Some(TokenTree::Group(group)) => group.stream().into_iter().collect(),
        _ => Vec::new(),
    };
    let first = rest.first().map_or_else(Span::call_site, TokenTree::span);
    let mut errors = Errors::default();
    match kind.as_str() {
        "word" => errors.push(
            first,
            format!(
                "`select!` does not know the word `{}`: the only word before the branches is `biased;`",
                rest[0]
            ),
        ),
        "limit" => errors.push(first, "`select!` takes at most 64 branches: this is one too many"),
        _ if is_word(&rest, 0, "else") => in_else(&rest, &mut errors),
        _ if is_word(&rest, 0, "if") => errors.push(
            first,
            "this condition belongs to no branch: a condition follows the future, and a comma is missing after the \
             handler before it if that is not a block `{ … }`",
        ),
        _ => in_branch(&rest, &mut errors),
    }
    errors.into_tokens()
}

/// Finds the mistake in tokens that begin with `else`.
fn in_else(tokens: &[TokenTree], errors: &mut Errors) {
    let first = tokens[0].span();
    let second = (1..tokens.len()).find(|at| is_word(tokens, *at, "else") && is_arrow(tokens, at + 1));
    if !is_arrow(tokens, 1) {
        errors.push(first, "`else` needs a `=>` and an expression: `else => expression`");
    } else if let Some(second) = second {
        errors.push(tokens[second].span(), "`select!` has one `else` at most: this is the second");
    } else {
        errors.push(first, "`else` comes last, after all branches");
    }
}

/// Finds the mistake in tokens that begin with the branch that did not match.
fn in_branch(tokens: &[TokenTree], errors: &mut Errors) {
    let first = tokens[0].span();
    let Some(equals) = (0..tokens.len()).find(|at| is_equals(tokens, *at)) else {
        return errors.push(first, format!("a branch of `select!` has the form {FORM}: here is no `=`"));
    };
    if let Some(arrow) = (0..equals).find(|at| is_arrow(tokens, *at)) {
        return errors.push(
            tokens[arrow].span(),
            format!("expected `=` and a future before this `=>`: a branch of `select!` has the form {FORM}"),
        );
    }
    if let Some(guard) = (0..equals).find(|at| is_word(tokens, *at, "if")) {
        return errors.push(
            tokens[guard].span(),
            "the condition of a branch stands after the future: `pattern = future, if condition => handler`; it is \
             evaluated before the future is polled, so it cannot use the variables of the pattern",
        );
    }
    let arrow = (equals..tokens.len()).find(|at| is_arrow(tokens, *at));
    let next_equals = (equals + 1..tokens.len()).find(|at| is_equals(tokens, *at));
    let end = arrow.unwrap_or(tokens.len());

    // The future is followed by neither `=>` nor a condition.
    let comma = (equals..end).find(|at| is_punct(tokens, *at, ',') && !is_word(tokens, at + 1, "if"));
    let is_condition = |at: usize| is_word(tokens, at, "if") && is_punct(tokens, at - 1, ',');
    let lone_if = (equals + 2..end).find(|at| is_word(tokens, *at, "if") && !is_condition(*at));
    let condition = (equals + 2..end).find(|at| is_condition(*at));
    if let Some(comma) = comma {
        errors.push(
            tokens[comma].span(),
            "expected `=>` and the handler of this branch, or `if` and its condition; found `,`",
        );
    } else if let (Some(lone_if), None) = (lone_if, condition) {
        errors.push(
            tokens[lone_if].span(),
            "expected a comma before the condition: `future, if condition => handler`",
        );
    } else if arrow.is_none() || next_equals.is_some_and(|next| next < end) {
        let last = tokens[equals + 1..end].iter().find(|token| is_braces(token)).or(tokens.get(equals + 1));
        let span = last.unwrap_or(&tokens[equals]).span();
        errors.push(span, format!("expected `=>` and the handler of this branch: it has the form {FORM}"));
    } else {
        let handler = tokens.get(end + 2).unwrap_or(&tokens[end]);
        errors.push(
            handler.span(),
            "expected a comma after the handler that begins here: only a handler that is a block `{ … }` needs none",
        );
    }
}

fn is_word(tokens: &[TokenTree], at: usize, word: &str) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if ident.to_string() == word)
}

fn is_punct(tokens: &[TokenTree], at: usize, character: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_joint(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Joint)
}

fn is_arrow(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens, at, '=') && is_joint(tokens, at) && is_punct(tokens, at + 1, '>')
}

/// Returns true for an `=` by itself, which is not a part of `==`, `..=` or `=>`.
fn is_equals(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens, at, '=') && !is_joint(tokens, at) && !(at > 0 && is_joint(tokens, at - 1))
}

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}
