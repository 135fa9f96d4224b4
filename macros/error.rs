//! What is wrong with a use of the macros, and where.
//!
//! Faults are collected rather than thrown: an attribute with two wrong options shows both at
//! once. Each becomes a `compile_error!` whose every token carries the span of the fault, so the
//! compiler underlines the very word. The function is expanded all the same, as well as it can
//! be, so that no second error follows from the first.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// The faults found so far, in the order in which they stand in the source.
#[derive(Default)]
pub(crate) struct Errors {
    faults: Vec<(Span, String)>,
}

impl Errors {
    pub(crate) fn push(&mut self, span: Span, message: impl Into<String>) {
        self.faults.push((span, message.into()));
    }

    /// One `::core::compile_error! { "message" }` for each fault.
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
