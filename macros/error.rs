//! Errors in the use of the macros, with their positions.
//!
//! Errors are collected, so that an attribute with two wrong options shows both at once. Each becomes a
//! `compile_error!` whose tokens all carry the span of the error, so that the compiler underlines the exact
//! word. The function is still expanded as well as it can be, so that the first error does not cause a second
//! one.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// The errors found so far, in the order in which they occur in the source.
#[derive(Default)]
pub(crate) struct Errors {
    faults: Vec<(Span, String)>,
}

impl Errors {
    pub(crate) fn push(&mut self, span: Span, message: impl Into<String>) {
        self.faults.push((span, message.into()));
    }

    /// Returns a `::core::compile_error! { "message" }` for each error.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.faults.iter().flat_map(|(span, message)| compile_error(*span, message)).collect()
    }
}

fn compile_error(span: Span, message: &str) -> [TokenTree; 8] {
    let text = TokenTree::from(Literal::string(message));
    let punct = |character, spacing| TokenTree::from(Punct::new(character, spacing));
    let mut tokens = [
        punct(':', Spacing::Joint),
        punct(':', Spacing::Alone),
        Ident::new("core", span).into(),
        punct(':', Spacing::Joint),
        punct(':', Spacing::Alone),
        Ident::new("compile_error", span).into(),
        punct('!', Spacing::Alone),
        Group::new(Delimiter::Brace, text.into()).into(),
    ];
    for token in &mut tokens {
        token.set_span(span);
    }
    tokens
}
