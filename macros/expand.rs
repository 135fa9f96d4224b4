//! What the function becomes: a plain `fn` that builds a runtime and blocks on the body.
//!
//! The work is in keeping the compiler's messages good. A body that is moved into a bare
//! `async { … }` no longer knows its return type: `Err(Box::new(error))` does not coerce, and a
//! wrong last expression is reported in the macro's name instead of its own. Hence two shapes,
//! [`SIMPLE`] and [`GENERAL`].
//!
//! What a user calls his items must not matter. A stable macro has hygienic names for local variables alone, and not
//! even those where a static, a constant or a unit struct has the same name: there a pattern means that. So nothing
//! is bound here. Paths begin with `::`, and methods are called on the very reference that they take, where none of a
//! trait of the user's comes first. The one item there is, the inner function, gets a name that the function does
//! not mention.

use crate::error::Errors;
use crate::item::{Function, open, split_inner_attributes};
use crate::options::Options;
use crate::template::fill;
use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// For `main` and for tests: the function stays the `async fn` that it was, inside of one that
/// runs it. The compiler sees what the user wrote, and speaks of that.
const SIMPLE: &str = "
    $attributes $visibility $fn $name() $output $bounds {
        #[allow(dead_code, clippy::unused_async, clippy::future_not_send)]
        $async $fn $inner $arguments $output $bounds $body
        $run
    }
";

/// For all others: an inner function sees neither arguments nor generics nor `Self`, an async
/// block sees them all. Its [`HINT`] makes up for the return type.
const GENERAL: &str = "
    $attributes $visibility $fn $name $generics $arguments $output $bounds {
        $inner_attributes
        $run
    }
";

/// Tells an async block its return type: it stands first, and the rest is checked against it.
const HINT: &str = "
    if false {
        return $value;
    }
";

/// A value of that type, which is never made.
const VALUE: &str = "::core::option::Option::unwrap(::core::option::Option::<$type>::None)";

const BUILD: &str = "
    (&mut $builder::new_current_thread())
        .enable_all()
        $settings
        .build()
        .expect(\"cannot build the runtime\")
";

/// Located at the body: what the compiler has to say of the result is said there. In braces ends what it has to say of
/// the settings.
const RUN: &str = "(&{ $build }).block_on($future)";

/// A crate has one `main` and hundreds of tests. With this, `block_on` is compiled once for each
/// type that tests return, and not once for each test: 400 tests are built in four fifths of the
/// time.
const ERASED: &str = "
    ::core::pin::pin!($future) as ::core::pin::Pin<&mut dyn ::core::future::Future<Output = _>>
";

/// Which attribute is expanded.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Macro {
    Main,
    Test,
}

impl Macro {
    fn name(self) -> &'static str {
        match self {
            Macro::Main => "runtime::main",
            Macro::Test => "runtime::test",
        }
    }
}

/// Expands the attribute: the faults as `compile_error!`s, then the function.
pub(crate) fn expand(which: Macro, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(arguments, &mut errors);
    let expansion = match Function::parse(item.clone(), which.name(), &mut errors) {
        Some(function) => expand_function(which, &options, function, &mut errors),
        None => item,
    };
    let mut output = errors.into_tokens();
    output.extend(expansion);
    output
}

fn expand_function(which: Macro, options: &Options, function: Function, errors: &mut Errors) -> TokenStream {
    let glue = Span::mixed_site();
    let async_token = check_async(which, &function, errors);
    let arguments_fit = check_arguments(which, &function, errors);
    let attributes = check_attributes(which, &function, errors);

    let inner = one(Ident::new(&unused_name(&function), glue.located_at(function.name.span())));
    let (shape, inner_attributes, future) = if !arguments_fit || is_simple(which, &function) {
        let call = fill("$inner()", glue, &[("inner", inner.clone())]);
        (SIMPLE, TokenStream::new(), call)
    } else {
        let (inner_attributes, body) = split_inner_attributes(function.body.stream());
        (GENERAL, inner_attributes, async_block(&function, &async_token, body))
    };

    // Without its arguments the body is checked, but cannot run.
    let run = if arguments_fit {
        run(which, options, future, function.body.span())
    } else {
        fill("loop {}", glue, &[])
    };
    let holes = [
        ("attributes", attributes),
        ("visibility", function.visibility),
        ("async", one(async_token)),
        ("fn", one(function.fn_token)),
        ("name", one(function.name)),
        ("inner", inner),
        ("generics", function.generics),
        ("arguments", one(function.arguments)),
        ("output", function.output),
        ("bounds", function.bounds),
        ("inner_attributes", inner_attributes),
        ("body", one(function.body)),
        ("run", run),
    ];
    let expansion = fill(shape, glue, &holes);
    if which == Macro::Main {
        return expansion;
    }
    fill("#[::core::prelude::v1::test] $function", glue, &[("function", expansion)])
}

fn run(which: Macro, options: &Options, future: TokenStream, body_span: Span) -> TokenStream {
    let glue = Span::mixed_site();
    let holes = [("builder", options.builder.clone()), ("settings", options.settings.clone())];
    let build = fill(BUILD, glue, &holes);
    let future = if which == Macro::Test { fill(ERASED, glue, &[("future", future)]) } else { future };
    fill(RUN, glue.located_at(body_span), &[("build", build), ("future", future)])
}

/// Returns a name for the inner function that nothing in the function means by itself.
fn unused_name(function: &Function) -> String {
    let mut name = format!("__async_{}", function.name.to_string().trim_start_matches("r#"));
    let parts = [&function.output, &function.bounds, &function.body.stream()];
    while parts.iter().any(|part| mentions(part, &name)) {
        name.push('_');
    }
    name
}

/// Returns the `async` of the function, or one in its stead.
fn check_async(which: Macro, function: &Function, errors: &mut Errors) -> Ident {
    function.async_token.clone().unwrap_or_else(|| {
        let span = function.fn_token.span();
        errors.push(
            span,
            format!("`#[{}]` goes on an `async fn`: write `async` before this `fn`", which.name()),
        );
        Ident::new("async", Span::mixed_site().located_at(span))
    })
}

/// Whether the arguments can be passed: by whoever calls the function, thus not to `main` or a test.
fn check_arguments(which: Macro, function: &Function, errors: &mut Errors) -> bool {
    let message = match which {
        _ if function.arguments.stream().is_empty() => return true,
        Macro::Test => "a test has no arguments",
        Macro::Main if function.name.to_string() == "main" => {
            "`main` has no arguments: read those of the program with `std::env::args()`"
        }
        Macro::Main => return true,
    };
    errors.push(function.arguments.span(), message);
    false
}

/// Returns the attributes without those that would make the function a test, or start a runtime,
/// for a second time.
fn check_attributes(which: Macro, function: &Function, errors: &mut Errors) -> TokenStream {
    let mut kept = TokenStream::new();
    for [hash, brackets] in &function.attributes {
        if is_repeated(which, brackets) {
            let message =
                format!("`#[{}]` does this already: remove one of the two attributes", which.name());
            errors.push(brackets.span(), message);
        } else {
            kept.extend([hash.clone(), brackets.clone()]);
        }
    }
    kept
}

/// `#[test]` under any of its names, for `test`; the runtime's own attributes, for both.
fn is_repeated(which: Macro, brackets: &TokenTree) -> bool {
    let TokenTree::Group(group) = brackets else {
        return false;
    };
    let words: Vec<_> = open(group.stream()).into_iter().map(|token| token.to_string()).collect();
    let path: Vec<_> = words.iter().map(String::as_str).filter(|word| *word != ":").collect();
    match path[..] {
        ["test"] | ["core" | "std", "prelude", _, "test"] => which == Macro::Test,
        ["runtime", "main" | "test", ..] => true,
        _ => false,
    }
}

/// Whether the body can move into a function of its own.
///
/// An entry point of any other name may stand in an `impl` block and use its generics, and of that
/// nothing is seen from here.
fn is_simple(which: Macro, function: &Function) -> bool {
    let stands_free = which == Macro::Test || function.name.to_string() == "main";
    let uses = [&function.output, &function.bounds, &function.body.stream()];
    stands_free
        && function.arguments.stream().is_empty()
        && function.generics.is_empty()
        && !uses.into_iter().any(|part| mentions(part, "Self"))
}

fn async_block(function: &Function, async_token: &Ident, body: TokenStream) -> TokenStream {
    let mut block = Group::new(Delimiter::Brace, [hint(function), body].into_iter().collect());
    block.set_span(function.body.span());
    let span = Span::mixed_site().located_at(async_token.span());
    fill("async move $block", span, &[("block", one(block))])
}

/// No hint where the type cannot be written in an expression: `impl Trait` and `!`.
fn hint(function: &Function) -> TokenStream {
    let mut output_type: TokenStream = function.output.clone().into_iter().skip("->".len()).collect();
    if mentions(&output_type, "impl") || output_type.to_string() == "!" {
        return TokenStream::new();
    }
    let first = output_type.clone().into_iter().next();
    let span = first.map_or(function.arguments.span_close(), |token| token.span());
    if output_type.is_empty() {
        output_type = one(Group::new(Delimiter::Parenthesis, TokenStream::new()));
    }
    let glue = Span::mixed_site();
    // "Return type inferred to be … here", says the compiler of what is returned, which is why it is in braces that
    // are the user's.
    let mut value =
        Group::new(Delimiter::Brace, fill(VALUE, glue.located_at(span), &[("type", output_type)]));
    value.set_span(span);
    fill(HINT, glue, &[("value", one(value))])
}

fn mentions(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident.to_string() == word,
        TokenTree::Group(group) => mentions(&group.stream(), word),
        _ => false,
    })
}

fn one(token: impl Into<TokenTree>) -> TokenStream {
    token.into().into()
}
