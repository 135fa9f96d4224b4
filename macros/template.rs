//! Templates: Rust text with holes, turned into tokens.
//!
//! `$name` is a hole. It is filled with the tokens given under that name, which keep their own spans. All
//! other tokens get one span, which is a mixed-site span. So a local variable of the template never conflicts
//! with one of the user's, and neither the compiler nor clippy gives advice about the template's text. The
//! caller chooses where the span is *located*, which is the position that messages show.

use proc_macro::{Group, Span, TokenStream, TokenTree};

/// Fills the holes of `text`. All other tokens get `span`.
///
/// # Panics
///
/// Panics if `text` is not made of Rust tokens, or has a hole that is not among `holes`. That is a bug in
/// this crate, which shows at the first use of the template.
pub(crate) fn fill(text: &str, span: Span, holes: &[(&str, TokenStream)]) -> TokenStream {
    fill_stream(text.parse().expect("a template is made of Rust tokens"), span, holes)
}

fn fill_stream(template: TokenStream, span: Span, holes: &[(&str, TokenStream)]) -> TokenStream {
    let mut filled = TokenStream::new();
    let mut tokens = template.into_iter();
    while let Some(mut token) = tokens.next() {
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), fill_stream(group.stream(), span, holes)).into();
        }
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '$') {
            let name = tokens.next().map_or_else(String::new, |name| name.to_string());
            let hole = holes.iter().find(|(hole, _)| *hole == name);
            filled.extend(hole.expect("a template names holes that are given").1.clone());
        } else {
            token.set_span(span);
            filled.extend([token]);
        }
    }
    filled
}
